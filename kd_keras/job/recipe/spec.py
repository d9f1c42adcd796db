"""Specs: the short text that names a model or method and its knobs, as "kd:temperature=4".

A comma separates knobs, so a knob that is a list has "+" between its values: "taps=stage1+stage2".
"""

import os
import re
from collections.abc import Mapping
from typing import Any

Knob = bool | int | float | str


def parse(text: str) -> tuple[str, dict[str, Knob]]:
    """Splits "NAME:knob=value,..." into the name and its knobs.

    The first colon of "app:NAME", "tfds:NAME", "folder:PATH" and "cache:PATH" belongs to the name.
    A path has no knobs: a text that exists as a file, has a slash or ends in .keras. See `value`
    for the types of knobs.

    Raises:
        ValueError: no name, or a knob without a value or given twice.
    """
    name, colon, knobs = _halves(text)
    pairs = [pair.partition("=") for pair in knobs.split(",")] if colon else []
    settings = {knob: value(setting) for knob, _, setting in pairs}
    are_complete = all(knob and setting for knob, _, setting in pairs)
    if not name or name.endswith(":") or not are_complete or len(settings) < len(pairs):
        raise ValueError(
            f"{text!r} is not a valid spec; expected NAME or NAME:knob=value,knob=value with "
            "each knob once, as in kd:weight=0.9,temperature=4. Correct the spec."
        )
    return name, settings


def _halves(text: str) -> tuple[str, str, str]:
    """The name, the colon that ends it ("" if there is none) and the text behind the colon."""
    prefix, colon, text_after_colon = text.partition(":")
    if colon and prefix in ("app", "tfds"):
        # Only knobs end the name, so that a TFDS version stays in it: "tfds:cifar100:3.0.2".
        end = re.search(r":(?=\w+=)", text_after_colon)
        return (
            (f"{prefix}:{text_after_colon[: end.start()]}", ":", text_after_colon[end.end() :])
            if end
            else (text, "", "")
        )
    if prefix in ("folder", "cache") or _is_path(text):
        return text, "", ""
    return prefix, colon, text_after_colon


def _is_path(text: str) -> bool:
    start = text.partition("=")[0]  # a slash in a knob's value is a layer's path
    return "/" in start or os.sep in start or text.endswith(".keras") or os.path.exists(text)


def value(text: str) -> Knob:
    """The int, float or bool ("true", "false") that `text` spells, or else `text` itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number_type in (int, float):
        try:
            return number_type(text)
        except ValueError:
            continue
    return text


def with_knobs(text: str, knobs: Mapping[str, Knob | None], *, replace: bool = True) -> str:
    """The spec with these knobs set (None removes a knob); other knobs keep their text.

    Without `replace`, knobs that the spec has already are not changed.

    Args:
        text: a spec, such as "kd:weight=0.9".
        knobs: values by knob; None removes the knob.
        replace: whether a knob that the spec has already gets the new value.
    """
    parse(text)  # raises ValueError if it is not a spec
    name, _, knob_text = _halves(text)
    texts: dict[str, Any] = dict(pair.split("=", 1) for pair in knob_text.split(",") if pair)
    texts |= {knob: setting for knob, setting in knobs.items() if replace or knob not in texts}
    pairs = [f"{knob}={setting}" for knob, setting in texts.items() if setting is not None]
    return ":".join([name, ",".join(pairs)] if pairs else [name])
