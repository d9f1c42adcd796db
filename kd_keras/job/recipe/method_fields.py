"""Fields of a recipe that say what the student learns from."""

from functools import partial

from pydantic import BaseModel, Field

from kd_keras import check

#: The group is the section of `kdk train --help` that lists the field.
_field = partial(Field, json_schema_extra={"group": "Method"})


class MethodFields(BaseModel):
    """The part of a recipe under "Method"."""

    method: tuple[str, ...] = _field(
        ("kd",), description="NAME or NAME:knob=value,...; none: plain training"
    )
    validate_teacher: bool = _field(
        False, description="also run the teacher on validation images: val_agreement, val_<method>"
    )
    each_method: bool = _field(
        False, description="train one student per method instead of one with all methods"
    )
    ce_weight: float | None = _field(
        None,
        ge=0,
        le=check.LARGEST,
        description="factor of the cross-entropy; none: the first method's",
    )
    baseline: bool = _field(
        False, description="also train the student alone, with the same epochs and seed"
    )
