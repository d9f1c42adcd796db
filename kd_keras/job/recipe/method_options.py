"""`--temperature` and `--kd-weight`: options that set a knob in the method specs of a recipe."""

from collections.abc import Mapping
from typing import Any

from kd_keras import check, methods
from kd_keras.job.recipe import old_spelling, spec
from kd_keras.job.recipe.fields import Recipe

#: Option, written as a field, to the knob of a method that it sets.
KNOBS = {"temperature": "temperature", "kd_weight": "weight"}
#: What `kdk train --help` says about each.
HELP = {
    "temperature": "softmax temperature of the first method; none: the method's default",
    "kd_weight": "factor of the first method's loss; none: the method's default",
}


def split(settings: Mapping[str, Any]) -> tuple[dict[str, spec.Knob | None], dict[str, Any]]:
    """Values of `KNOBS` by knob, checked, and the other settings.

    Raises:
        ValueError: a temperature that is not above 0, or a weight below 0.
    """
    knobs = {KNOBS[name]: _number(name, settings[name]) for name in KNOBS if name in settings}
    return knobs, {name: value for name, value in settings.items() if name not in KNOBS}


def apply_knobs(recipe: Recipe, knobs: Mapping[str, Any], *, replace: bool) -> Recipe:
    """The recipe with these knobs in the spec of the first method, or of every student's method.

    Args:
        recipe: the recipe; plain training (`none`) stays as it is.
        knobs: values by knob; None removes the knob.
        replace: False leaves a knob alone that a spec has already.
    """
    if not knobs or recipe.method == ("none",):
        return recipe
    # With each_method, every method is the first one of its student.
    num_methods = len(recipe.method) if recipe.each_method else 1
    edited_specs = [
        spec.with_knobs(text, knobs, replace=replace) for text in recipe.method[:num_methods]
    ]
    return recipe.model_copy(update={"method": (*edited_specs, *recipe.method[num_methods:])})


def from_fields(fields: Mapping[str, Any]) -> Recipe:
    """The recipe of a file's fields; those of `KNOBS` go into the method specs.

    Earlier versions wrote `temperature`, used by every method with such a knob, and `kd_weight`,
    the first method's weight, as fields of their own. Specs with the knob ignored them.
    """
    knobs, fields = split(fields)
    recipe = Recipe(**fields)
    weight = {knob: v for knob, v in knobs.items() if knob == "weight" and v is not None}
    temperature = {knob: v for knob, v in knobs.items() if knob != "weight" and v is not None}
    if not (weight or temperature) or recipe.method == ("none",):
        return recipe
    specs = tuple(
        spec.with_knobs(text, temperature, replace=False)
        if temperature.keys() <= set(methods.knobs(spec.parse(text)[0]))
        else text
        for text in recipe.method
    )
    recipe = apply_knobs(recipe.model_copy(update={"method": specs}), weight, replace=False)
    old_spelling.warn(
        "temperature and kd_weight are not fields of a recipe, but knobs of its methods. Write "
        f"method = {list(recipe.method)} instead."
    )
    return recipe


def _number(option: str, value: Any) -> spec.Knob | None:
    number = spec.value(value) if isinstance(value, str) else value
    if number is None or number == "none":
        return None
    bound: dict[str, float] = {"above": 0} if option == "temperature" else {"at_least": 0}
    checked_number = check.number(
        option, number, **bound, remedy="Or give none: the method's default."
    )
    return int(checked_number) if checked_number.is_integer() else checked_number
