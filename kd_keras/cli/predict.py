"""`kdk predict`: the classes of images, as a table, CSV or JSON lines."""

import contextlib
import dataclasses
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from kd_keras import check
from kd_keras.cli import completion, errors, output, quiet, shared_options
from kd_keras.job.recipe import old_spelling

if TYPE_CHECKING:
    from kd_keras.cli.prediction_rows import Rows
    from kd_keras.job.prediction.images_to_predict import Item
    from kd_keras.job.prediction.predictor import Predictor

_STDIN = "-"
_TOP = 5  # default number of classes for each image


@click.command("predict")
@click.argument("model", metavar="MODEL|RUN", shell_complete=completion.run_completion())
@click.argument("images", metavar="IMAGE|FOLDER|-...", nargs=-1, required=True, type=str)
@click.option(
    "--top",
    type=int,
    metavar="K",
    help="most classes for each image [5; all where an image may have several]",
)
@click.option(
    "--threshold",
    type=float,
    metavar="X",
    help="least probability of a class, where an image may have several [0.5]",
)
@click.option(
    "--label-mode",
    "--labels",
    metavar="[single|multi]",
    help="classes of an image [what the model says, or single]",
)
@click.option(
    "--format",
    "row_format",
    metavar="[table|csv|jsonl]",
    help="what to print [table, or what the ending of --out says]",
)
@click.option("--out", metavar="FILE", help="write the rows into a file")
@click.option("--output", "old_out", hidden=True)  # the name in an earlier version
@click.option("--class-names", metavar="FILE", help="class names, one a line, in the model's order")
@click.option("--dataset", metavar="NAME", help="take the class names of a dataset")
@click.option("--data-dir", metavar="FOLDER", help="folder with that dataset's own files")
@click.option(
    "--resize",
    metavar="[crop|pad|squash]",
    help="how images become square [as in training, else crop]",
)
@click.option("--image-size", type=int, metavar="N", help="pixels a side, if the model takes any")
@click.option("--preprocess", metavar="MODE", help="pixel values that the model expects [0..255]")
@click.option(
    "--max-pixels", type=int, metavar="N", help="pixels of the largest image to read [178,956,970]"
)
@click.option("--batch-size", type=int, metavar="N", help="images that the model gets at a time")
@click.option("--import", "imports", metavar="MODULE", multiple=True, help="registers own layers")
@output.command
def command(
    model: str,
    images: tuple[str, ...],
    top: int | None,
    row_format: str | None,
    out: str | None,
    old_out: str | None,
    **options: Any,
) -> None:
    """Predict the classes of images, with a model in any format.

    The model is a .keras, .h5, .tflite or .onnx file, a SavedModel folder, or a finished run, whose
    student it is. A folder stands for the images in it and in its folders; - reads one image from
    standard input. Images may have any size; the formats are AVIF, BMP, GIF, ICO, JPEG, JPEG 2000,
    PCX, PNG, PPM, PSD, QOI, SGI, TGA, TIFF and WebP.
    """
    from kd_keras.cli import prediction_rows
    from kd_keras.job import output_paths
    from kd_keras.job.prediction import model_argument

    if old_out is not None:
        old_spelling.warn("--output has a new name. Write --out.")
        out = old_out if out is None else out
    suffix = Path(out).suffix if out else ""
    row_format = row_format or prediction_rows.format_of(suffix)
    check.one_of("format", row_format, prediction_rows.FORMATS)
    if top is not None:
        check.whole_number("top", top, at_least=1)
    if out is not None:
        output_paths.require_file(Path(out).expanduser(), "--out")
    path = model_argument.resolve(model).path  # before TensorFlow, whose import takes seconds
    items = _items(images)
    predictor = _predictor(model, options)
    if predictor.model.metadata.class_names is None:
        output.screen().warn(
            f"{path} has no class names; their numbers are shown. Give --class-names FILE or "
            "--dataset NAME."
        )
    is_multi_label = predictor.threshold is not None
    num_shown = top or (len(predictor.names) if is_multi_label else _TOP)
    tally = _Tally()
    with _rows_to(out) as file:
        rows = prediction_rows.Rows(
            row_format, file, items, predictor.names, num_shown, multi_label=is_multi_label
        )
        _predict(predictor, items, rows, tally)
        tally.check(images)
    _close(path, tally)


def _items(images: tuple[str, ...]) -> list["Item"]:
    from kd_keras.job.prediction import images_to_predict

    items: list[Item] = []
    for image in images:
        if image == _STDIN:
            content = sys.stdin.buffer.read()
            items.append(images_to_predict.Item(_STDIN, content))
        else:
            items += images_to_predict.items(image)
    return items


def _predictor(model: str, options: dict[str, Any]) -> "Predictor":
    """The opened model, and how it reads images; imports TensorFlow."""
    dataset, data_dir = options.pop("dataset"), options.pop("data_dir")
    names = options.pop("class_names")
    if names is not None and dataset is not None:
        raise ValueError("--class-names and --dataset are both given; expected one of them.")
    quiet.import_tensorflow()
    from PIL import Image

    from kd_keras import data
    from kd_keras.data.folders import class_names
    from kd_keras.job.prediction import opened_model
    from kd_keras.job.prediction.predictor import Predictor

    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # --max-pixels says it
    if dataset is not None:
        names = class_names.read_class_names(dataset, data_dir=data_dir)
    imports, preprocess = options.pop("imports"), options.pop("preprocess")
    label_mode = check.one_of("label_mode", options.pop("label_mode") or "single", data.LABEL_MODES)
    opened_classifier = opened_model.open_model(
        model,
        preprocess=preprocess,
        class_names=names,
        imports=imports,
        multi_label=label_mode == "multi",
    )
    return Predictor(opened_classifier, **shared_options.set_options(options))


def _predict(predictor: "Predictor", items: list["Item"], rows: "Rows", tally: "_Tally") -> None:
    screen, is_json = output.screen(), output.wants_document()
    with screen.progress("predicting", len(items)) as advance:
        for prediction in predictor.stream(items, top=rows.top):
            advance(1)
            if prediction.skipped:
                tally.skipped += 1
            elif prediction.error:
                tally.failed[prediction.file or ""] = prediction.error
                remedy = " Allow it with --max-pixels N." if prediction.too_large else ""
                screen.warn(f"{prediction.file}: {prediction.error}.{remedy}")
            else:
                tally.read += 1
                rows.write(prediction)
                if is_json:
                    tally.predictions.append(rows.entry(prediction))


@dataclasses.dataclass
class _Tally:
    """Counts the images that were predicted and those that could not be read."""

    read: int = 0
    skipped: int = 0
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    predictions: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def check(self, images: tuple[str, ...]) -> None:
        """Raises ValueError if no image could be read."""
        if self.read:
            return
        names = ", ".join(images[:3]) + (", ..." if len(images) > 3 else "")
        if self.failed:
            raise ValueError(
                f"no image of {names} can be read; expected images. The lines above say what is "
                "wrong with each file."
            )
        raise ValueError(
            f"{names} holds no images (files of other kinds: {self.skipped:,}); expected images. "
            "Check the path."
        )


def _close(path: Path, tally: _Tally) -> None:
    screen = output.screen()
    if tally.skipped and not screen.quiet:
        click.echo(f"skipped files that are not images: {tally.skipped:,}", err=True)
    output.document(
        {
            "model": path,
            "images": tally.read,
            "skipped": tally.skipped,
            "failed": [{"file": file, "error": error} for file, error in tally.failed.items()],
            "predictions": tally.predictions,
        }
    )
    if tally.failed:
        total = tally.read + len(tally.failed)
        click.echo(f"kdk: {len(tally.failed):,} of {total:,} images cannot be read", err=True)
        click.get_current_context().exit(errors.PARTLY_DONE)


@contextlib.contextmanager
def _rows_to(out: str | None) -> Iterator[TextIO | None]:
    """The file or stdout that rows are written to; a file appears when it is complete."""
    if out is None:
        yield None if output.wants_document() else sys.stdout
        return
    from kd_keras import files

    with (
        files.atomic_write(Path(out).expanduser()) as new_path,
        new_path.open("w", encoding="utf-8", newline="", errors="surrogateescape") as file,
    ):
        yield file
