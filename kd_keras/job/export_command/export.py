"""The job of `kdk export`: files of a classifier, each checked in the program that runs it."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kd_keras import check, files
from kd_keras.data import LABEL_MODES
from kd_keras.data.stores.store import Dataset
from kd_keras.exports import (
    classifier_graph,
    export_targets,
    litert,
    onnx_file,
    runtimes,
    saved_model,
)
from kd_keras.exports.classifier_graph import ClassifierGraph
from kd_keras.exports.export_targets import ExportTarget
from kd_keras.exports.metadata import Metadata
from kd_keras.exports.runtimes.scores import Scores
from kd_keras.graph import precision, taps
from kd_keras.job import output_paths
from kd_keras.job.export_command import export_images, export_record, model_to_export
from kd_keras.job.export_command.export_images import ExportImages
from kd_keras.job.export_command.model_to_export import ModelToExport
from kd_keras.job.prediction import names_file
from kd_keras.models import adapt, preprocessing
from kd_keras.results import export_check
from kd_keras.results.export_check import Reference
from kd_keras.results.terminal import paths
from kd_keras.results.terminal.screen import Screen

_SERVED = 100  # images to compare with the fresh process that serves a SavedModel


def export(
    model: str | Path | keras.Model,
    *,
    formats: Sequence[str] = ("litert",),
    quantize: Sequence[str] = ("none",),
    out: str | Path | None = None,
    dataset: str | Dataset | None = None,
    class_names: str | Path | Sequence[str] | None = None,
    data_dir: str | None = None,
    calibration_images: int = export_targets.CALIBRATION_IMAGES,
    seed: int = 0,
    preprocess: str | None = None,
    imports: Sequence[str] = (),
    label_mode: str = "single",
    overwrite: bool = False,
    screen: Screen | None = None,
) -> dict[str, Any]:
    """Writes a classifier in other formats, and compares each file with the Keras model.

    Every file takes uint8 pixels, (B, H, W, C), for any B, and gives `probabilities` and `logits`;
    class names, image shape and resizing are inside. Each file runs in its own program (LiteRT,
    ONNX Runtime, a TensorFlow session) on up to 1,000 validation images before it replaces an
    earlier one.

    Args:
        model: path of a `.keras` or `.h5` file, name or path of a finished run, whose student is
            exported, or a Keras model that takes pixels 0..255.
        formats: "savedmodel", "litert", "onnx".
        quantize: "none" (float32), "float16", "int8" (8-bit numbers); each format is written in
            each of these that it offers. int8 is calibrated on training images.
        out: folder of the files; None: `exports/` in the run folder, or `NAME-exports/` beside the
            model's file.
        dataset: name of the dataset, or the dataset, for calibration, check and class names; None:
            that of the run. Without any, the check is on noise. "none" does not load the run's.
        class_names: names in the order of the model's outputs, or a text file with one a line;
            None: those of the run or the dataset.
        data_dir: folder with the dataset's own files.
        calibration_images: number of training images that int8 is calibrated on, at least 100.
        seed: seed of the choice of images.
        preprocess: pixel values that the model expects, see `models.preprocessing`; None: 0..255.
        imports: modules that register the model's own layers.
        label_mode: "multi" for a model of no run that gives each image several classes, or none; a
            run says it itself.
        overwrite: whether to replace files of another model.
        screen: where lines and the table are shown; None: on stdout.

    Returns:
        `folder`, `keras` (what the Keras model itself reaches) and `files`: by name, `format`,
        `quantize`, `model`, `path`, and the entries of `export_check.compare_answers` and `.cost`.
        The same is in `exports.json` in the folder, and under "exports" in the run's results.json.

    Raises:
        ValueError, FileNotFoundError, OSError: what is wrong, what was expected, what to do. A file
            that could not be written or checked leaves the earlier one as it was.
    """
    screen = screen or Screen()
    combinations, left_out = export_targets.combinations(formats, quantize)
    if any(target.quantize == "int8" for target in combinations):
        check.whole_number("calibration_images", calibration_images, at_least=export_images.FEWEST)
    if preprocess is not None:
        check.one_of("preprocess", preprocess, preprocessing.MODES)
    multi_label = check.one_of("label_mode", label_mode, LABEL_MODES) == "multi"
    if out is not None:
        output_paths.require_folder(
            export_targets.folder_of(out), "--out"
        )  # before the model is opened
    source = model_to_export.find(model, imports, multi_label=multi_label)
    folder = export_targets.folder_of(out) if out is not None else source.folder
    if not overwrite:
        export_record.check(folder, combinations, source.stem, source.identity)
    if preprocess is not None:
        source = dataclasses.replace(
            source, model=adapt.adapt_teacher(source.model, preprocess=preprocess)
        )
    if class_names is not None:
        source = dataclasses.replace(source, class_names=names_file.read(class_names))
    for target in combinations:
        is_folder = target.format == "savedmodel"
        require = output_paths.require_folder if is_folder else output_paths.require_file
        require(folder / target.name(source.stem), "--out")
    images = _images(source, dataset, data_dir, calibration_images, seed, screen)
    if any(target.quantize == "int8" for target in combinations):
        num_images = export_images.check_calibration(images)
        screen.say(f"int8 is calibrated on {num_images:,} training images")
    job = _job(source, images, folder, screen)
    for line in left_out:
        screen.say(line)
    entries = {target.name(source.stem): _export(job, target) for target in combinations}
    return _finish(job, entries)


@dataclasses.dataclass(frozen=True)
class _Job:
    source: ModelToExport
    graph: ClassifierGraph
    images: ExportImages
    reference: Reference
    folder: Path
    keras_entry: dict[str, Any]
    screen: Screen


def _images(
    source: ModelToExport,
    dataset: str | Dataset | None,
    data_dir: str | None,
    calibration_images: int,
    seed: int,
    screen: Screen,
) -> ExportImages:
    inputs = getattr(source.model, "inputs", None)
    shape = inputs[0].shape if inputs else taps.input_shapes(source.model) or (None,) * 4
    shape = tuple(shape[1:])
    known_model = source.known()
    if not isinstance(dataset, Dataset):
        size = None if None in shape else shape
        metadata = dataclasses.replace(known_model.metadata, image_shape=size)
        model_with_size = dataclasses.replace(known_model, metadata=metadata)
        dataset = export_images.load(model_with_size, dataset, data_dir, screen)
    return export_images.choose(
        dataset, known_model.metadata, shape, calibration_images=calibration_images, seed=seed
    )


def _job(source: ModelToExport, images: ExportImages, folder: Path, screen: Screen) -> _Job:
    lowest_precision = precision.lowest_precision([source.model])
    if lowest_precision != "float32":
        screen.say(f"{source.stem} computes in {lowest_precision}; its files compute in float32.")
    graph = classifier_graph.from_model(source.model, images.shape, multi_label=source.multi_label)
    function = graph.function()

    def classify(batch: np.ndarray) -> Scores:
        answers = function(batch)
        return Scores(answers["logits"].numpy(), answers["probabilities"].numpy())

    scores = export_check.in_batches(classify, images.check)
    export_images.check_classes(source.model, scores.logits.shape[1], images.metadata.class_names)
    reference = Reference(
        *(images.check, images.labels, scores, graph.head == "logits"),
        multi_label=source.multi_label,
    )
    entry = export_check.reference_entry(classify, reference, source.path())
    return _Job(source, graph, images, reference, folder, entry, screen)


def _export(job: _Job, target: ExportTarget) -> dict[str, Any]:
    name = target.name(job.source.stem)
    path = job.folder / name
    job.screen.say(f"writing and checking {name}")
    with contextlib.ExitStack() as stack:
        if target.format == "savedmodel":
            new_path = path  # it replaces an earlier one by itself
        else:
            new_path = stack.enter_context(files.atomic_write(path))
        _write(job, target, new_path)
        classifier = runtimes.open_classifier(new_path)
        measurements = export_check.compare_answers(
            classifier, job.reference, must_be_exact=target.quantize == "none"
        ) | export_check.cost(classifier, new_path, job.images.check)
    facts: dict[str, Any] = {"format": target.format, "quantize": target.quantize}
    if target.quantize == "int8" and job.images.calibration is not None:
        facts["calibration_images"] = len(job.images.calibration)
    entry = {**facts, "path": str(path), "model": job.source.identity, **measurements}
    export_record.add(job.folder, name, entry)
    return entry


def _write(job: _Job, target: ExportTarget, path: Path) -> None:
    file_metadata = job.images.metadata
    if target.format == "savedmodel":
        _write_saved_model(job, path, file_metadata)
        return
    write = litert.write if target.format == "litert" else onnx_file.write
    calibration = job.images.calibration
    write(
        job.graph,
        path,
        quantize=target.quantize,
        file_metadata=file_metadata,
        calibration=calibration,
    )


def _write_saved_model(job: _Job, path: Path, file_metadata: Metadata) -> None:
    saved_model.saved_model(
        job.graph.model,
        path,
        class_names=file_metadata.class_names,
        input_shape=job.graph.shape,
        resize=file_metadata.resize or "squash",
        images=job.images.check[:_SERVED],
        multi_label=job.graph.multi_label,
    )


def _finish(job: _Job, entries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    argument = job.source.argument
    export_record.require_files(job.folder, entries)
    if argument is not None and argument.run is not None:
        export_record.add_to_results(argument.run, job.folder, entries)
        export_record.require_files(job.folder, entries)  # the run's folder may be gone only now
    num_images = len(job.images.check)
    has_real_images = job.images.labels is not None
    images_text = (
        f"{num_images:,} validation images" if has_real_images else f"{num_images} images of noise"
    )
    keras_name = f"{job.source.stem}.keras" if argument is None else argument.path.name
    title = f"Files in {paths.short_path(job.folder)}, compared on {images_text}"
    export_check.show(title, {keras_name: job.keras_entry, **entries}, job.screen)
    if argument is not None and argument.run is not None:
        job.screen.say(f"To show this table in the run's report: kdk report {argument.run}")
    for line in export_check.losses(entries):
        job.screen.warn(line)
    if not has_real_images:
        job.screen.warn(
            "without a dataset the files were compared on noise, so their accuracy is not known. "
            "Give --dataset to compare them on real images."
        )
    return {"folder": str(job.folder), "keras": job.keras_entry, "files": entries}
