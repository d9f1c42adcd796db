"""The fields of a recipe, each with its unit, default, range and explanation.

Types and ranges are checked here. Names of datasets, models and methods are checked in
`precheck.py` and `dataset.py`.
"""

from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from kd_keras import check
from kd_keras.data import sizes
from kd_keras.job.recipe import consistency, field_values, spec

# The group is the section of `kdk train --help` that lists the field.
_data = partial(Field, json_schema_extra={"group": "Data"})
_models = partial(Field, json_schema_extra={"group": "Models"})
_method = partial(Field, json_schema_extra={"group": "Method"})
_training = partial(Field, json_schema_extra={"group": "Training"})
_machine = partial(Field, json_schema_extra={"group": "Machine"})


_MOST_PASSES = 1_000_000  # over the data; a larger number is a slip of the finger
_KNOBS_IN_SPECS = "A method's knobs are part of its spec, as in kd:temperature=4,weight=0.9."


class Recipe(BaseModel):
    """The settings of a run; frozen, and every field has a default.

    Numbers and truth values may be text ("5", "0.1", "true", and "none" where a field may be
    empty), so that `--set` reaches every field. A text in place of a list is its only item.

    Raises:
        ValueError: unknown field (with the nearest name), or a value of the wrong type or range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: str = _data(
        "tiny_imagenet", min_length=1, description="tiny_imagenet, digits, folder:PATH or tfds:NAME"
    )
    data_dir: str | None = _data(None, description="folder with the dataset's own files")
    image_size: int | None = _data(
        None,
        ge=8,
        le=sizes.LARGEST,
        description="height and width of images in pixels; none: the dataset's own",
    )
    resize: Literal["crop", "pad", "squash"] | None = _data(
        None, description="how images become square; none: crop (tfds: squash)"
    )
    flip: bool | None = _data(
        None, description="mirror images at random; none: the dataset's default"
    )
    val_fraction: float | None = _data(
        None,
        gt=0,
        lt=1,
        description="share of train to hold out if the dataset has no validation set",
    )
    select: bool = _data(
        False, description="evaluate on a held-out part of train, to choose settings"
    )
    views: int = _data(
        0,
        ge=0,
        le=_MOST_PASSES,
        description="number of augmented views of each image, shown in turn; 0: a new view every "
        "epoch",
    )
    max_pixels: int | None = _data(
        None, ge=1, description="pixels of the largest image to read; none: 178,956,970"
    )
    view_seed: int = _data(0, ge=0, lt=2**31, description="seed of the augmentation")

    teacher: tuple[str, ...] = _models(
        ("resnet20",),
        description="NAME, NAME:knob=value,..., a .keras or .h5 file, a SavedModel folder or "
        "cache:FOLDER; given again: the mean of the teachers' logits",
    )
    teacher_weights: tuple[Annotated[float, Field(ge=0, le=check.LARGEST)], ...] | None = _models(
        None, description="weight of each teacher, in their order; none: equal weights"
    )
    student: tuple[str, ...] = _models(
        ("resnet8",),
        description="NAME, NAME:knob=value,... or a .keras file; given again: several students, "
        "trained side by side",
    )
    assistants: tuple[str, ...] = _models(
        (),
        description="models between teacher and student, largest first; each learns from the "
        "previous one",
    )
    generations: int = _models(
        1,
        ge=1,
        le=100,
        description="number of students trained in turn, each taught by the previous one",
    )
    imports: tuple[str, ...] = _models(
        (), description="Python module that registers layers of model files, such as my_layers"
    )
    weights: str | None = _models(
        "imagenet",
        description="initial weights of app: models: imagenet (downloaded once by Keras), none "
        "(random), or a file of weights",
    )
    teacher_preprocess: Literal["0..255", "0..1", "-1..1", "caffe", "torch"] | None = _models(
        None, description="pixel values that the teacher expects; none: 0..255"
    )
    teacher_image_size: int | None = _models(
        None,
        ge=8,
        le=sizes.LARGEST,
        description="image size in pixels that the teacher expects; none: that of the data",
    )
    teacher_classes: str | None = _models(
        None, description="file with the class names in the teacher's order, one per line"
    )
    allow_weak_teacher: bool = _models(
        False, description="accept a teacher that is hardly better than guessing"
    )

    method: tuple[str, ...] = _method(
        ("kd",), description="NAME or NAME:knob=value,...; none: plain training"
    )
    validate_teacher: bool = _method(
        False, description="also run the teacher on validation images: val_agreement, val_<method>"
    )
    each_method: bool = _method(
        False, description="train one student per method instead of one with all methods"
    )
    ce_weight: float | None = _method(
        None,
        ge=0,
        le=check.LARGEST,
        description="factor of the cross-entropy; none: the first method's",
    )
    baseline: bool = _method(
        False, description="also train the student alone, with the same epochs and seed"
    )

    epochs: int = _training(
        5, ge=1, le=_MOST_PASSES, description="epochs for students, baselines and assistants"
    )
    teacher_epochs: int = _training(5, ge=1, le=_MOST_PASSES, description="epochs for each teacher")
    batch_size: int = _training(1024, ge=1, description="images per step, over all devices")
    optimizer: Literal["adam", "adamw", "sgd", "dot"] = _training(
        "adam", description="optimizer of every model that is trained"
    )
    learning_rate: float = _training(
        0.001, gt=0, le=check.LARGEST, description="highest learning rate of the schedule"
    )
    teacher_learning_rate: float | None = _training(
        None,
        gt=0,
        le=check.LARGEST,
        description="learning rate of teachers; none: learning_rate",
    )
    baseline_learning_rate: float | None = _training(
        None,
        gt=0,
        le=check.LARGEST,
        description="learning rate of baselines; none: learning_rate",
    )
    schedule: Literal["constant", "cosine", "one-cycle", "steps"] = _training(
        "constant", description="how the learning rate changes over the training"
    )
    weight_decay: float = _training(
        0.0,
        ge=0,
        le=check.LARGEST,
        description="decoupled weight decay per step; with dot, L2 added to the gradient",
    )
    momentum: float = _training(0.9, ge=0, lt=1, description="momentum of sgd and dot")
    delta: float = _training(
        0.075,
        ge=0,
        lt=1,
        description="momentum difference of dot: methods use momentum + delta, labels "
        "momentum - delta",
    )
    label_smoothing: float = _training(
        0.0, ge=0, lt=1, description="share of each label spread over all classes"
    )
    ema: float = _training(
        0.0, ge=0, lt=1, description="decay per step of averaged weights; 0: no averaging"
    )
    seed: int = _training(
        0, ge=0, lt=2**31, description="seed of initial weights, order of images and dropout"
    )

    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = _machine(
        "auto", description="precision of training; saved models are float32"
    )
    cache: Literal["auto", "always", "never"] = _machine(
        "auto",
        description="keep the teacher's outputs on disk; auto: if views repeat (--views) and the "
        "methods read no feature maps",
    )
    checkpoint_minutes: float = _machine(
        5.0,
        ge=0,
        le=check.LARGEST,
        description="minutes between checkpoints within an epoch; 0: after every step",
    )
    wandb: str | None = _machine(
        None, min_length=1, description="Weights & Biases project to log to (extra wandb)"
    )
    mlflow: str | None = _machine(
        None, min_length=1, description="MLflow experiment to log to (extra mlflow)"
    )
    deterministic: bool = _machine(
        False, description="make GPUs give the same bits in each run; slower (CPUs do so anyway)"
    )
    timing: bool = _machine(True, description="measure the time that each network takes per image")
    devices: str | None = _machine(
        None,
        pattern="^(cpu|gpu):[1-9][0-9]*$",
        description="kind and number, cpu:2 or gpu:4; none: all visible GPUs, or one CPU",
    )

    def __init__(self, /, **fields: Any):  # a field that someone calls self is an unknown one
        for name in fields:
            check.one_of("recipe field", name, type(self).model_fields, remedy=_KNOBS_IN_SPECS)
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ValueError(" ".join(dict.fromkeys(map(_message, error.errors())))) from None

    @field_validator("*", mode="before")
    @classmethod
    def _from_text(cls, value: Any, info: ValidationInfo) -> Any:
        name = str(info.field_name)
        return field_values.parsed(name, cls.model_fields[name], value)

    @field_validator("method")
    @classmethod
    def _are_methods(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        names = [spec.parse(text)[0] for text in specs]
        if not names or ("none" in names and len(names) > 1):
            raise ValueError(refusal("method", list(specs)))
        return specs

    @field_validator("teacher", "student", "assistants")
    @classmethod
    def _are_specs(cls, value: Any, info: ValidationInfo) -> Any:
        if not value and info.field_name != "assistants":
            raise ValueError(refusal(str(info.field_name), value))
        for text in value:
            spec.parse(text)
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        consistency.check(self)
        return self

    @field_serializer("teacher", "student")
    def _single_or_several(self, specs: tuple[str, ...]) -> str | tuple[str, ...]:
        return specs[0] if len(specs) == 1 else specs


def form(name: str) -> tuple[type, tuple[str, ...], bool]:
    """A field's type, its choices (empty if free) and whether it may be none."""
    return field_values.form(Recipe.model_fields[name])


def refusal(name: str, value: Any) -> str:
    """The message for a value of a field that has the wrong type or is out of range."""
    return field_values.refusal(name, Recipe.model_fields[name], value)


def _message(error: Any) -> str:
    own = error.get("ctx", {}).get("error")
    return str(own) if own else refusal(error["loc"][0], error["input"])
