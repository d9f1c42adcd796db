"""The fields of a recipe, each with its unit, default, range and the words that explain it.

Types and ranges are checked here; names of data sets, models and methods in `train.py`, which
knows them.
"""

from functools import partial
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from kd_keras import check, spec

# The group is the section of `kdk train --help` that lists the field.
_data = partial(Field, json_schema_extra={"group": "Data"})
_models = partial(Field, json_schema_extra={"group": "Models"})
_method = partial(Field, json_schema_extra={"group": "Method"})
_training = partial(Field, json_schema_extra={"group": "Training"})
_machine = partial(Field, json_schema_extra={"group": "Machine"})


class Recipe(BaseModel):
    """What a run trains, on what and how: frozen, and every field has a default.

    Numbers and truth values may be text ("5", "0.1", "true", and "none" where a field may be empty)
    and methods one text with spaces between, so that `--set` reaches every field.

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
    val_fraction: float | None = _data(
        None, gt=0, lt=1, description="share of train to hold out where there is no validation part"
    )
    select: bool = _data(
        False, description="evaluate on a held-out part of train, to choose settings by"
    )
    views: int = _data(
        0, ge=0, description="augmented views of an image, in turn; 0: a new one every epoch"
    )
    view_seed: int = _data(0, ge=0, lt=2**31, description="seed of the augmentation")

    teacher: str = _models(
        "resnet20", description="NAME, NAME:knob=value,..., a .keras file or a SavedModel folder"
    )
    student: str = _models("resnet8", description="NAME, NAME:knob=value,... or a .keras file")
    weights: Literal["imagenet"] | None = _models(
        None, description="what app: models start from; none: random weights"
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
        False, description="go on with a teacher under three times chance"
    )

    method: tuple[str, ...] = _method(
        ("kd",), description="NAME or NAME:knob=value,...; none: plain training"
    )
    temperature: float | None = _method(
        None, gt=0, description="no unit, for methods whose spec has none; none: their own"
    )
    ce_weight: float | None = _method(
        None, ge=0, description="factor of the cross-entropy; none: the first method's default"
    )
    kd_weight: float | None = _method(
        None, ge=0, description="factor of the first method's cost; none: its own default"
    )
    baseline: bool = _method(False, description="also train the student alone, same budget, seed")

    epochs: int = _training(5, ge=1, description="passes over train, of student and baseline")
    teacher_epochs: int = _training(5, ge=1, description="passes over train, of the teacher")
    batch_size: int = _training(1024, ge=1, description="images a step, over all devices")
    optimizer: Literal["adam", "adamw", "sgd"] = _training("adam", description="of every training")
    learning_rate: float = _training(0.001, gt=0, description="step size, the schedule's highest")
    teacher_learning_rate: float | None = _training(None, gt=0, description="none: learning_rate")
    baseline_learning_rate: float | None = _training(None, gt=0, description="none: learning_rate")
    schedule: Literal["constant", "cosine", "one-cycle", "steps"] = _training(
        "constant", description="learning rate over the run"
    )
    weight_decay: float = _training(0.0, ge=0, description="a step, apart from the gradient")
    momentum: float = _training(0.9, ge=0, lt=1, description="of sgd")
    label_smoothing: float = _training(0.0, ge=0, lt=1, description="share spread over all classes")
    ema: float = _training(0.0, ge=0, lt=1, description="decay a step of averaged weights; 0: off")
    seed: int = _training(0, ge=0, lt=2**31, description="of initialisation, order and dropout")

    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = _machine(
        "auto", description="of training; what is saved is float32"
    )
    devices: str | None = _machine(
        None,
        pattern="^(cpu|gpu):[1-9][0-9]*$",
        description="kind and number, cpu:2 or gpu:4; none: all visible GPUs, or one CPU",
    )

    def __init__(self, **fields: Any):
        for name in fields:
            check.one_of("recipe field", name, type(self).model_fields)
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ValueError(" ".join(map(_complaint, error.errors()))) from None

    @field_validator("*", mode="before")
    @classmethod
    def _from_text(cls, value: Any, info: ValidationInfo) -> Any:
        name = str(info.field_name)
        kind, choices, optional = form(name)
        if optional and value in (None, "none"):
            return None
        if choices:
            return check.one_of(name, value, [*choices, *(["none"] if optional else [])])
        if isinstance(value, str):
            if kind is tuple:
                return tuple(value.split())
            value = value if kind is str else spec.value(value)
        if isinstance(value, bool) is not (kind is bool):
            raise ValueError(_refusal(name, value))
        return value

    @field_validator("method")
    @classmethod
    def _are_methods(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        found = [spec.parse(text)[0] for text in specs]
        if not found or ("none" in found and len(found) > 1):
            raise ValueError(_refusal("method", list(specs)))
        return specs

    @field_validator("teacher", "student")
    @classmethod
    def _is_a_spec(cls, text: str) -> str:
        spec.parse(text)
        return text


def form(name: str) -> tuple[type, tuple[str, ...], bool]:
    """A field's type, its choices (empty if free) and whether it may be none."""
    annotation: Any = Recipe.model_fields[name].annotation
    optional = type(None) in get_args(annotation)
    if optional:
        (annotation,) = set(get_args(annotation)) - {type(None)}
    if get_origin(annotation) is Literal:
        return str, get_args(annotation), optional
    return get_origin(annotation) or annotation, (), optional


def _complaint(error: Any) -> str:
    ours = error.get("ctx", {}).get("error")
    return str(ours) if ours else _refusal(error["loc"][0], error["input"])


def _refusal(name: str, value: Any) -> str:
    kind, _, optional = form(name)
    words = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        tuple: "specs, 'none' alone",
    }
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    metadata = Recipe.model_fields[name].metadata
    bounds = [f"{s} {getattr(m, b)}" for m in metadata for b, s in signs.items() if hasattr(m, b)]
    expected = " ".join([words.get(kind, "text"), " and ".join(bounds)]).strip()
    return (
        f"{name} is {value!r}; expected {expected}{' or none' if optional else ''} "
        f"({Recipe.model_fields[name].description}). Change it in the recipe or by --set {name}=..."
    )
