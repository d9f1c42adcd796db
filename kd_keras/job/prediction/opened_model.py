"""A classifier that a user names, opened in its own program, with all that is known about it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kd_keras import check
from kd_keras.exports import runtimes
from kd_keras.exports.metadata import Metadata
from kd_keras.exports.runtimes import Classifier
from kd_keras.graph import backend, quiet_import
from kd_keras.job.prediction import model_argument, names_file
from kd_keras.job.recipe import recipe_files
from kd_keras.models import custom_objects, preprocessing

# Formats whose programs do without TensorFlow, which takes seconds to import.
_LIGHT = (".tflite", ".onnx")


@dataclasses.dataclass(frozen=True)
class OpenedModel:
    """A classifier that is ready to run.

    Attributes:
        classifier: runs images, see `exports.runtimes`.
        metadata: class names, image shape and resizing, from its file, else from its run; None
            where neither says.
        run: the run folder that it lies in; None for a model of no run.
    """

    classifier: Classifier
    metadata: Metadata
    run: Path | None

    @property
    def path(self) -> Path:
        return self.classifier.path


def open_model(
    model_or_run: str | Path,
    *,
    preprocess: str | None = None,
    class_names: str | Path | Sequence[str] | None = None,
    imports: Sequence[str] = (),
    multi_label: bool = False,
) -> OpenedModel:
    """Opens the model.

    Args:
        model_or_run: see `model_argument.resolve`.
        preprocess: pixel values that the model expects, see `models.preprocessing`; None: 0..255.
        class_names: names in the order of the model's outputs, or a file with one a line; None:
            what the file or the run says.
        imports: modules that register the model's own layers, beside those of its run.
        multi_label: whether an image may have several classes, where neither the file nor its run
            says it.

    Raises:
        FileNotFoundError: there is no such file and no such run.
        ValueError: it is not an image classifier, or the program that runs it is not installed.
    """
    if preprocess is not None:
        check.one_of("preprocess", preprocess, preprocessing.MODES)
    argument = model_argument.resolve(model_or_run)
    if argument.path.suffix.lower() not in _LIGHT:
        backend.require_tensorflow()
        quiet_import.import_keras()
        run_imports = () if argument.run is None else recipe_files.load(argument.run).imports
        custom_objects.register([*run_imports, *imports])
    is_multi_label = multi_label or argument.metadata.multi_label
    classifier = runtimes.open_classifier(
        argument.path, preprocess=preprocess, multi_label=is_multi_label
    )
    metadata = classifier.metadata.filled_from(argument.metadata)
    if class_names is not None:
        metadata = dataclasses.replace(metadata, class_names=names_file.read(class_names))
    return OpenedModel(classifier, metadata, argument.run)


def check_num_classes(model: OpenedModel, shape: tuple[int, int, int]) -> int:
    """The number of the model's classes, which its names must have; it is run on one black image.

    Args:
        model: the opened model.
        shape: (H, W, C) of its images.

    Raises:
        ValueError: the model has more or fewer names than outputs.
    """
    logits = model.classifier(np.zeros((1, *shape), np.uint8)).logits
    classes, names = logits.shape[1], model.metadata.class_names
    if names is not None and len(names) != classes:
        raise ValueError(
            f"{model.path} has {classes} classes and {len(names)} class names "
            f"({', '.join(names[:3])}, ...); expected one name for each class. Give a file with "
            "one name a line with --class-names."
        )
    return int(classes)
