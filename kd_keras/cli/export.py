"""`kdk export`: a model as LiteRT, ONNX and SavedModel, each checked in its own program."""

from typing import Any

import click

from kd_keras.cli import completion, output, quiet, shared_options
from kd_keras.exports import export_targets


@click.command("export", epilog=shared_options.LISTS)
@click.argument("model", metavar="MODEL|RUN", shell_complete=completion.run_completion())
@click.option(
    "--format",
    "formats",
    metavar=f"[{'|'.join(export_targets.QUANTIZATIONS_BY_FORMAT)}]",
    multiple=True,
    default=["litert"],
    help="format to write [litert]",
)
@click.option(
    "--quantize",
    metavar=f"[{'|'.join(export_targets.QUANTIZATIONS)}]",
    multiple=True,
    default=["none"],
    help="numbers that a file computes with; none: float32 [none]",
)
@click.option("--out", metavar="FOLDER", help="folder of the files [RUN/exports, or MODEL-exports]")
@click.option("--overwrite", is_flag=True, help="replace files of another model")
@click.option(
    "--dataset",
    metavar="NAME",
    shell_complete=completion.field_completion("dataset"),
    help="dataset to calibrate and compare with; none: compare on noise [the run's]",
)
@click.option("--class-names", metavar="FILE", help="class names, one a line, in the model's order")
@click.option("--data-dir", metavar="FOLDER", help="folder with the dataset's own files")
@click.option(
    "--calibration-images",
    type=int,
    metavar="N",
    default=export_targets.CALIBRATION_IMAGES,
    help=f"training images to calibrate int8 with [{export_targets.CALIBRATION_IMAGES}]",
)
@click.option("--seed", type=int, metavar="N", default=0, help="seed of the choice of images [0]")
@click.option(
    "--preprocess", metavar="MODE", help="pixel values that MODEL expects; files take 0..255"
)
@click.option(
    "--label-mode",
    "--labels",
    metavar="[single|multi]",
    default="single",
    help="multi: each image may have several classes [what the run says, or single]",
)
@click.option("--import", "imports", metavar="MODULE", multiple=True, help="registers own layers")
@output.command
def command(model: str, **options: Any) -> None:
    """Write a trained model for phones and servers, and check each file.

    The model is a .keras or .h5 file, or a finished run, whose student it is. The files take uint8
    pixels and give probabilities and logits; class names are inside. Each file runs in its own
    program on up to 1,000 validation images and is compared with the Keras model.
    """
    screen = output.screen()
    from kd_keras.job.prediction import model_argument

    # Before TensorFlow, whose import takes seconds.
    export_targets.combinations(options["formats"], options["quantize"])
    model_argument.resolve(model)
    quiet.import_tensorflow()
    from kd_keras.job.export_command import export

    output.document(export.export(model, **options, screen=screen))
