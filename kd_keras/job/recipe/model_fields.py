"""Fields of a recipe that name the models."""

from functools import partial
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from kd_keras import check
from kd_keras.data.images import sizes

#: The group is the section of `kdk train --help` that lists the field.
_field = partial(Field, json_schema_extra={"group": "Models"})


class ModelFields(BaseModel):
    """The part of a recipe under "Models"."""

    teacher: tuple[str, ...] = _field(
        ("resnet20",),
        description="NAME, NAME:knob=value,..., a .keras or .h5 file, a SavedModel folder or "
        "cache:FOLDER; given again: the mean of the teachers' logits",
    )
    ensemble_weights: tuple[Annotated[float, Field(ge=0, le=check.LARGEST)], ...] | None = _field(
        None, description="weight of each teacher in their mean, in order; none: equal weights"
    )
    student: tuple[str, ...] = _field(
        ("resnet8",),
        description="NAME, NAME:knob=value,... or a .keras file, whose weights are trained on; "
        "given again: several students, trained side by side",
    )
    assistants: tuple[str, ...] = _field(
        (),
        description="models between teacher and student, largest first; each learns from the "
        "previous one",
    )
    freeze: tuple[str, ...] = _field(
        (),
        description="layers of the student whose weights stay as they are: a name or path with * "
        "for any text, such as stem* or backbone/*",
    )
    generations: int = _field(
        1,
        ge=1,
        le=100,
        description="number of students trained in turn, each taught by the previous one",
    )
    imports: tuple[str, ...] = _field(
        (), description="Python module that registers layers of model files, such as my_layers"
    )
    weights: str | None = _field(
        "imagenet",
        description="initial weights of app: models: imagenet (downloaded once by Keras), none "
        "(random), or a file of weights",
    )
    teacher_preprocess: Literal["0..255", "0..1", "-1..1", "caffe", "torch"] | None = _field(
        None, description="pixel values that the teacher expects; none: 0..255"
    )
    teacher_image_size: int | None = _field(
        None,
        ge=8,
        le=sizes.LARGEST,
        description="image size in pixels that the teacher expects; none: that of the data",
    )
    teacher_class_names: str | None = _field(
        None, description="file with the class names in the teacher's order, one per line"
    )
    allow_weak_teacher: bool = _field(
        False, description="accept a teacher that is hardly better than guessing"
    )
