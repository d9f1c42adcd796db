"""The fields of a recipe, each with its unit, default, range and the words that explain it.

Types and ranges are checked here; names of data sets, models and methods in `train.py`, which
knows them.
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
from kd_keras.job import field_values, spec

# The group is the section of `kdk train --help` that lists the field.
_data = partial(Field, json_schema_extra={"group": "Data"})
_models = partial(Field, json_schema_extra={"group": "Models"})
_method = partial(Field, json_schema_extra={"group": "Method"})
_training = partial(Field, json_schema_extra={"group": "Training"})
_machine = partial(Field, json_schema_extra={"group": "Machine"})


_KNOBS_IN_SPECS = "A method's knobs are part of its spec, as in kd:temperature=4,weight=0.9."
# Fields that apply only to a teacher that runs.
_OF_A_MODEL = ("teacher_preprocess", "teacher_image_size", "teacher_classes")


class Recipe(BaseModel):
    """What a run trains, on what and how: frozen, and every field has a default.

    Numbers and truth values may be text ("5", "0.1", "true", and "none" where a field may be
    empty), so that `--set` reaches every field. A text in place of a list is its only item.

    Raises:
        ValueError: unknown field (with the nearest name), or a value of the wrong type or range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: str = _data(
        "tiny_imagenet", min_length=1, description="tiny_imagenet, digits, folder:PATH or tfds:NAME"
    )
    data_dir: str | None = _data(None, description="folder that holds the data set's own files")
    image_size: int | None = _data(
        None, ge=8, description="height and width in pixels; none: the data set's own"
    )
    resize: Literal["crop", "pad", "squash"] | None = _data(
        None, description="how images of another aspect are made square; none: crop, of tfds squash"
    )
    flip: bool | None = _data(None, description="mirror at random; none: the data's default")
    val_fraction: float | None = _data(
        None, gt=0, lt=1, description="share of train to hold out where there is no validation part"
    )
    select: bool = _data(
        False, description="evaluate on a held-out part of train, to choose settings by"
    )
    views: int = _data(
        0,
        ge=0,
        description="augmented views of an image that students see in turn; 0: a new one every "
        "epoch",
    )
    view_seed: int = _data(0, ge=0, lt=2**31, description="seed of the augmentation")

    teacher: tuple[str, ...] = _models(
        ("resnet20",),
        description="NAME, NAME:knob=value,..., a .keras or .h5 file, a SavedModel folder or "
        "cache:FOLDER; repeated: the mean of their logits",
    )
    teacher_weights: tuple[Annotated[float, Field(ge=0)], ...] | None = _models(
        None, description="weight of each teacher, in their order; none: equal weights"
    )
    student: tuple[str, ...] = _models(
        ("resnet8",),
        description="NAME, NAME:knob=value,... or a .keras file; repeated: several, side by side "
        "on one teacher pass",
    )
    assistants: tuple[str, ...] = _models(
        (),
        description="models between teacher and student, largest first; each learns from the one "
        "before",
    )
    generations: int = _models(
        1, ge=1, description="how often the student is trained anew, taught by the one before"
    )
    imports: tuple[str, ...] = _models(
        (), description="modules that register the layers of models from files, such as my_layers"
    )
    weights: str | None = _models(
        "imagenet",
        description="what app: models start from: imagenet (downloaded once by Keras), none "
        "(random), or a file of weights",
    )
    teacher_preprocess: Literal["0..255", "0..1", "-1..1", "caffe", "torch"] | None = _models(
        None, description="pixels that a teacher from elsewhere expects; none: 0..255"
    )
    teacher_image_size: int | None = _models(
        None, ge=8, description="pixels; images are resized to it for the teacher alone"
    )
    teacher_classes: str | None = _models(
        None, description="file with the class names in the teacher's order, one a line"
    )
    allow_weak_teacher: bool = _models(
        False, description="go on with a teacher that is hardly better than guessing"
    )

    method: tuple[str, ...] = _method(
        ("kd",), description="NAME or NAME:knob=value,...; none: plain training"
    )
    validate_teacher: bool = _method(
        False, description="run the teacher in validation too: val_agreement and val_<method>"
    )
    each_method: bool = _method(
        False, description="a student of its own by each method, instead of one by all of them"
    )
    ce_weight: float | None = _method(
        None, ge=0, description="factor of the cross-entropy; none: the first method's default"
    )
    baseline: bool = _method(False, description="also train the student alone, same budget, seed")

    epochs: int = _training(5, ge=1, description="passes over train, of all but teachers")
    teacher_epochs: int = _training(5, ge=1, description="passes over train, of each teacher")
    batch_size: int = _training(1024, ge=1, description="images a step, over all devices")
    optimizer: Literal["adam", "adamw", "sgd", "dot"] = _training(
        "adam", description="of every training"
    )
    learning_rate: float = _training(0.001, gt=0, description="step size, the schedule's highest")
    teacher_learning_rate: float | None = _training(None, gt=0, description="none: learning_rate")
    baseline_learning_rate: float | None = _training(None, gt=0, description="none: learning_rate")
    schedule: Literal["constant", "cosine", "one-cycle", "steps"] = _training(
        "constant", description="learning rate over the run"
    )
    weight_decay: float = _training(
        0.0, ge=0, description="a step, apart from the gradient; of dot: a part of it"
    )
    momentum: float = _training(0.9, ge=0, lt=1, description="of sgd and dot")
    delta: float = _training(
        0.075, ge=0, lt=1, description="of dot: methods have so much more momentum, the labels less"
    )
    label_smoothing: float = _training(0.0, ge=0, lt=1, description="share spread over all classes")
    ema: float = _training(0.0, ge=0, lt=1, description="decay a step of averaged weights; 0: off")
    seed: int = _training(0, ge=0, lt=2**31, description="of initialisation, order and dropout")

    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = _machine(
        "auto", description="of training; what is saved is float32"
    )
    cache: Literal["auto", "always", "never"] = _machine(
        "auto",
        description="of the teacher's outputs on disk; auto: where views repeat (--views) and the "
        "methods read no feature maps",
    )
    timing: bool = _machine(True, description="measure how long each network takes for an image")
    devices: str | None = _machine(
        None,
        pattern="^(cpu|gpu):[1-9][0-9]*$",
        description="kind and number, cpu:2 or gpu:4; none: all visible GPUs, or one CPU",
    )

    def __init__(self, **fields: Any):
        for name in fields:
            check.one_of("recipe field", name, type(self).model_fields, remedy=_KNOBS_IN_SPECS)
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ValueError(" ".join(map(_message, error.errors()))) from None

    @field_validator("*", mode="before")
    @classmethod
    def _from_text(cls, value: Any, info: ValidationInfo) -> Any:
        name = str(info.field_name)
        return field_values.parsed(name, cls.model_fields[name], value)

    @field_validator("method")
    @classmethod
    def _are_methods(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        found = [spec.parse(text)[0] for text in specs]
        if not found or ("none" in found and len(found) > 1):
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
    def _one_weight_a_teacher(self) -> Self:
        weights = self.teacher_weights
        if weights is not None and (len(weights) != len(self.teacher) or not sum(weights)):
            raise ValueError(
                f"teacher_weights is {list(weights)} and the teachers are {len(self.teacher)}; "
                "expected a number for each, not all 0. Change them, or set --teacher-weights none."
            )
        return self

    @model_validator(mode="after")
    def _a_cache_alone(self) -> Self:
        caches = [spec for spec in self.teacher if spec.startswith("cache:")]
        told = [name for name in _OF_A_MODEL if getattr(self, name) is not None]
        if caches and (len(self.teacher) > 1 or told):
            beside = " and ".join([*self.teacher[1:], *told])
            raise ValueError(
                f"the teacher is {self.teacher[0]!r}, outputs of one that is done, and there is "
                f"{beside} beside; expected the cache alone. Leave the rest out."
            )
        return self

    @model_validator(mode="after")
    def _several_students_are_the_last(self) -> Self:
        several = len(self.student) > 1 or (self.each_method and len(self.method) > 1)
        if several and self.generations > 1:
            raise ValueError(
                f"there are several students and {self.generations} generations; expected one of "
                "the two: a generation learns from the one before. Leave --generations out."
            )
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
