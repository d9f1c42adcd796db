"""`kdk evaluate`: measures a model in any format on labelled images."""

from typing import Any

import click

from kd_keras.cli import completion, output, quiet, shared_options


@click.command("evaluate")
@click.argument("model", metavar="MODEL|RUN", shell_complete=completion.run_completion())
@click.option(
    "--dataset",
    metavar="NAME",
    shell_complete=completion.field_completion("dataset"),
    help="tiny_imagenet, digits, folder:PATH or tfds:NAME [that of the run]",
)
@click.option(
    "--label-mode",
    "--labels",
    metavar="[single|multi]",
    help="classes of an image [what the model says, or single]",
)
@click.option(
    "--split",
    metavar="[validation|test|train|all]",
    default="validation",
    help="which images; all: all labelled ones [validation]",
)
@click.option(
    "--teacher", metavar="MODEL|RUN", help="also compare the answers with those of this model"
)
@click.option("--out", metavar="FOLDER", help="folder for pictures and tables [named by content]")
@click.option("--timing/--no-timing", default=True, help="measure the time per image [timing]")
@click.option("--batch-size", type=int, metavar="N", help="images that the model gets at a time")
@click.option("--class-names", metavar="FILE", help="class names, one a line, in the model's order")
@click.option("--preprocess", metavar="MODE", help="pixel values that the model expects [0..255]")
@click.option("--teacher-preprocess", metavar="MODE", help="those of the teacher [0..255]")
@click.option("--data-dir", metavar="FOLDER", help="folder with the dataset's own files")
@click.option("--image-size", type=int, metavar="N", help="pixels a side [those of the model]")
@click.option(
    "--resize",
    metavar="[crop|pad|squash]",
    help="how images become square [as in training, else crop]",
)
@click.option(
    "--val-fraction", type=float, metavar="X", help="share of train to hold out as validation"
)
@click.option("--import", "imports", metavar="MODULE", multiple=True, help="registers own layers")
@output.command
def command(model: str, **options: Any) -> None:
    """Measure a model on labelled images, in the program that runs its format.

    The model is a .keras, .h5, .tflite or .onnx file, a SavedModel folder, or a finished run, whose
    student it is. Shows accuracy with its interval, errors by class, calibration, size and speed;
    writes the confusion matrix and the wrong images. Where images may have several classes, it
    shows and writes mAP, F1 and the scores of each class.
    """
    from kd_keras.job.prediction import model_argument

    for name in filter(None, [model, options["teacher"]]):
        model_argument.resolve(name)  # before TensorFlow, whose import takes seconds
    quiet.import_tensorflow()
    from kd_keras.job.prediction import evaluate_model_file

    result = evaluate_model_file.evaluate(
        model, **shared_options.set_options(options), screen=output.screen()
    )
    output.document(result.to_json())
