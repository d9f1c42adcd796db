"""The text of a policy, such as "resized_crop:scale=0.35-1,flip,rand_augment:number=2,magnitude=9".

Items are separated by commas. An item without "=", or with a colon before its "=", begins a step:
"flip", "resized_crop:scale=0.35-1". Any other item, "magnitude=9", is a parameter of the step that
it follows. So no text has two meanings: names of steps hold no "=", and every parameter has one.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from kd_keras import check
from kd_keras.data.augmentation.color import Blur, ColorJitter, Grayscale
from kd_keras.data.augmentation.erase import Erase
from kd_keras.data.augmentation.geometry import Crop, Flip, ResizedCrop
from kd_keras.data.augmentation.rand_augment import RandAugment
from kd_keras.data.augmentation.step import Step
from kd_keras.data.presets import MIXING, PRESETS

#: Class of each step by its name.
STEPS: dict[str, type[Step]] = {
    step.NAME: step
    for step in (Crop, Flip, ResizedCrop, RandAugment, ColorJitter, Grayscale, Blur, Erase)
}
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})(?:-({_NUMBER}))?", re.IGNORECASE)
_EXAMPLE = "as in resized_crop:scale=0.35-1,flip,rand_augment:number=2,magnitude=9"


def parse(text: str) -> tuple[Step, ...]:
    """The steps that a text spells out, in order.

    Raises:
        ValueError: an unknown step or parameter (with the nearest name), a value out of range, a
            step given twice, or a text of another form.
    """
    steps: list[tuple[str, dict[str, str]]] = []
    for item in (entry.strip() for entry in text.split(",")):
        head, equals, value = item.partition("=")
        name, colon, parameter = head.partition(":")
        if colon or not equals:
            steps.append((_step_name(name.strip(), text), {}))
        parameter = (parameter if colon else head).strip()
        if not equals and not colon:
            continue
        if not steps or not parameter or not value.strip():
            raise ValueError(
                f"augment is {text!r}, and {item!r} is neither a step nor a parameter of one; "
                f"expected STEP or STEP:parameter=value, separated by commas, {_EXAMPLE}. Correct "
                "it."
            )
        if parameter in steps[-1][1]:
            raise ValueError(
                f"augment is {text!r}, with {parameter} of {steps[-1][0]} twice; expected it once. "
                "Leave one out."
            )
        steps[-1][1][parameter] = value.strip()
    return unique(make(name, settings) for name, settings in steps)


def make(name: str, settings: dict[str, Any]) -> Step:
    """The step of a name with some of its parameters set, as text or as the values of JSON.

    Args:
        name: a name in `STEPS`, such as "crop".
        settings: values by parameter; the others keep their defaults.

    Raises:
        ValueError: an unknown step or parameter, or a value of another kind.
    """
    step_class = STEPS[_step_name(name, name)]
    defaults = {field.name: field.default for field in dataclasses.fields(step_class)}
    if settings and not defaults:
        raise ValueError(
            f"{name} has the parameter {next(iter(settings))!r}; expected none. Leave it out."
        )
    for parameter in settings:
        check.one_of(f"parameter of {name}", parameter, defaults)
    return step_class(
        **{
            parameter: _value(f"{name}: {parameter}", value, defaults[parameter])
            for parameter, value in settings.items()
        }
    )


def to_text(steps: Sequence[Step]) -> str:
    """The text of steps with all their parameters; `parse` gives the same steps."""
    return ",".join(
        step.NAME + ":" * bool(values) + ",".join(f"{k}={_text(v)}" for k, v in values.items())
        for step in steps
        for values in [{k: v for k, v in step.parameters().items() if v is not None}]
    )


def unique(steps: Any) -> tuple[Step, ...]:
    """The steps as a tuple; raises ValueError if one is there twice, since both draw alike."""
    all_steps: tuple[Step, ...] = tuple(steps)
    names = [step.NAME for step in all_steps]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise ValueError(
            f"augment has {double[0]} {names.count(double[0])} times; expected each step once, "
            "since its random numbers depend on its name. Leave one out."
        )
    return all_steps


def _step_name(name: str, text: str) -> str:
    if name in PRESETS:
        raise ValueError(
            f"augment is {text!r}, and {name} is a whole policy; expected it alone, or steps. "
            f"Spelled out, {name} is {PRESETS[name] or 'no step'}."
        )
    remedy = f"Steps are separated by commas, {_EXAMPLE}."
    if name in MIXING:
        remedy = f"{name} mixes the images that come out of the steps: give --{name} 0.2 beside it."
    allowed = [*PRESETS, *STEPS] if name == text.strip() else STEPS  # alone, it may be a policy
    return str(check.one_of("augmentation step", name, allowed, remedy=remedy))


def _value(what: str, value: Any, default: Any) -> Any:
    """The value of a parameter, of the type of its default; ranges are checked by the step.

    Args:
        what: the step and parameter, as a message names them.
        value: the value as a text or from JSON.
        default: the parameter's default.
    """
    if isinstance(default, tuple):
        return _range(what, value)
    if isinstance(default, str):
        return str(value)
    if isinstance(default, float):
        number = _number(value)
        return number if isinstance(number, str) else float(number)
    return _number(value)


def _range(what: str, value: Any) -> tuple[float, float]:
    """(low, high) from "0.35-1", "0.5" or a list of JSON."""
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if match:
        return float(match[1]), float(match[2] or match[1])
    numbers = list(value) if isinstance(value, (list, tuple)) else []
    if len(numbers) == 2 and all(isinstance(n, (int, float)) for n in numbers):
        return float(numbers[0]), float(numbers[1])
    raise ValueError(
        f"{what} is {value!r}; expected one number or two, low-high, such as 0.35-1. Correct it."
    )


def _number(value: Any) -> Any:
    """The int or float that a text spells; another text stays, and the step refuses it."""
    if not isinstance(value, str):
        return value
    for number_type in (int, float):
        try:
            return number_type(value)
        except ValueError:
            continue
    return value


def _text(value: Any) -> str:
    return "-".join(map(repr, value)) if isinstance(value, tuple) else str(value)
