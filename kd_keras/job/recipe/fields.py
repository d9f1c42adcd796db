"""A recipe: all its fields, and their checks.

A field, with its unit, default, range and explanation, is in the file of its group:
`data_fields`, `model_fields`, `method_fields`, `training_fields` or `machine_fields`.

Types and ranges are checked here. Names of datasets, models and methods are checked in
`job/checks/precheck.py` and `job/images/dataset.py`.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from kd_keras import check
from kd_keras.job.recipe import consistency, field_values, old_spelling, spec
from kd_keras.job.recipe.data_fields import DataFields
from kd_keras.job.recipe.machine_fields import MachineFields
from kd_keras.job.recipe.method_fields import MethodFields
from kd_keras.job.recipe.model_fields import ModelFields
from kd_keras.job.recipe.training_fields import TrainingFields

_KNOBS_IN_SPECS = "A method's knobs are part of its spec, as in kd:temperature=4,weight=0.9."


# Pydantic lists the fields of the last base first.
class Recipe(MachineFields, TrainingFields, MethodFields, ModelFields, DataFields):
    """The settings of a run; frozen, and every field has a default.

    Numbers and truth values may be text ("5", "0.1", "true", and "none" where a field may be
    empty), so that `--set` reaches every field. A text in place of a list is its only item.

    Raises:
        ValueError: unknown field (with the nearest name), or a value of the wrong type or range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, /, **fields: Any):  # a field that someone calls self is an unknown one
        fields = renamed_fields(fields)
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
        return field_values.parse(name, cls.model_fields[name], value)

    @field_validator("method")
    @classmethod
    def _are_methods(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        specs = tuple(map(old_spelling.renamed_knobs, specs))
        names = [spec.parse(text)[0] for text in specs]
        if not names or ("none" in names and len(names) > 1):
            raise ValueError(refusal("method", list(specs)))
        return specs

    @field_validator("teacher", "student", "assistants")
    @classmethod
    def _are_specs(cls, value: Any, info: ValidationInfo) -> Any:
        if not value and info.field_name != "assistants":
            raise ValueError(refusal(str(info.field_name), value))
        return tuple(map(old_spelling.renamed_model, value))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        consistency.check(self)
        return self

    @field_serializer("teacher", "student")
    def _single_or_several(self, specs: tuple[str, ...]) -> str | tuple[str, ...]:
        return specs[0] if len(specs) == 1 else specs


def renamed_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields under their present names, see `old_spelling.renamed_fields`."""
    defaults = {name: field.default for name, field in Recipe.model_fields.items()}
    return old_spelling.renamed_fields(fields, defaults)


def form(name: str) -> tuple[type, tuple[str, ...], bool]:
    """A field's type, its choices (empty if free) and whether it may be none."""
    return field_values.form(Recipe.model_fields[name])


def refusal(name: str, value: Any) -> str:
    """The message for a value of a field that has the wrong type or is out of range."""
    return field_values.refusal(name, Recipe.model_fields[name], value)


def _message(error: Any) -> str:
    own_error = error.get("ctx", {}).get("error")
    return str(own_error) if own_error else refusal(error["loc"][0], error["input"])
