"""The model that `kdk export` exports: a file, the student of a run, or a Keras model."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras

from kd_keras.exports.metadata import Metadata
from kd_keras.job.prediction import model_argument
from kd_keras.job.prediction.model_argument import ModelArgument
from kd_keras.job.recipe import recipe_files
from kd_keras.models import custom_objects, model_files


@dataclasses.dataclass(frozen=True)
class ModelToExport:
    """The model to export.

    Attributes:
        model: the Keras model, which takes pixels.
        argument: the file or run that the user named; None for a Keras model.
        stem: what the exported files are named after.
        identity: text that tells it from other models of the same stem.
        folder: the default folder of the exported files.
        class_names: as the user gives them; None: those of the file or run.
        multi_label: whether an image may have several classes.
    """

    model: keras.Model
    argument: ModelArgument | None
    stem: str
    identity: str
    folder: Path
    class_names: tuple[str, ...] | None = None
    multi_label: bool = False

    def known(self) -> ModelArgument:
        """What is known about the model, its class names as the user gives them."""
        argument = self.argument or ModelArgument(Path(self.stem), Metadata(), None)
        facts = dataclasses.replace(argument.metadata, multi_label=self.multi_label)
        if self.class_names is not None:
            facts = dataclasses.replace(facts, class_names=self.class_names)
        return dataclasses.replace(argument, metadata=facts)

    def path(self) -> Path | None:
        """The model's file; None for a Keras model."""
        return None if self.argument is None else self.argument.path


def find(
    model: str | Path | keras.Model, imports: Sequence[str], *, multi_label: bool
) -> ModelToExport:
    """Opens the model to export, as `export` takes it.

    Args:
        model: path of a file, name or path of a run, or a Keras model.
        imports: modules that register the model's own layers.
        multi_label: whether an image may have several classes; a run says it itself.

    Raises:
        ValueError, FileNotFoundError: no such model, or one that no Keras model comes from.
    """
    if isinstance(model, keras.Model):
        stem = model.name
        return ModelToExport(
            *(model, None, stem, f"a Keras model named {stem}", Path(f"{stem}-exports")),
            multi_label=multi_label,
        )
    argument = model_argument.resolve(model)
    path, run = argument.path, argument.run
    if path.suffix not in model_files.SUFFIXES:
        raise ValueError(
            f"the model is {path}; expected a .keras or .h5 file, or a run. Export from the Keras "
            "model that this file was made from."
        )
    run_imports = () if run is None else recipe_files.load(run).imports
    custom_objects.register([*run_imports, *imports])
    multi_label = multi_label or argument.metadata.multi_label
    keras_model = model_files.open_model(path, sigmoid=not multi_label)
    folder = (
        run / model_argument.EXPORTS if run is not None else path.with_name(f"{path.stem}-exports")
    )
    return ModelToExport(
        *(keras_model, argument, path.stem, str(path.resolve()), folder), multi_label=multi_label
    )
