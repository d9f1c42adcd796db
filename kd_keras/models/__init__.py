"""The zoo: functional Keras models for small images, from pixels 0..255 to logits, by name.

A family of models is a file with a literal `NAMES` (name: description in one line) and a function
`build`. It needs no other entry. Every model has these taps, which are layer names: `stage1` to
`stageN` (B, H, W, C), each after its last ReLU; `stageN_preact`, the same before that ReLU;
`pooled` (B, D), the input of the last dense layer; and `logits` (B, num_classes).
"""

import ast
import functools
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kd_keras import check
from kd_keras.graph import quiet_import

if TYPE_CHECKING:
    import keras


MAX_PARAMETERS = 250_000_000  # of a model of the zoo: 1 GB of weights, 4 GB while Adam trains it
_SAFE_WIDTH = 3  # no model of the zoo has as many parameters at this width


def names() -> tuple[str, ...]:
    """Names of all models of the zoo, ordered by family; imports no Keras."""
    return tuple(_families())


def describe(name: str) -> str:
    """The model `name` in one line."""
    if name.startswith("app:"):
        return f"{name.removeprefix('app:')} from keras.applications"
    return _family(name)[1]


def get(
    name: str,
    /,
    *,
    num_classes: int,
    input_shape: tuple[int, ...],
    width: float = 1.0,
    stem_stride: int = 1,
    **knobs: Any,
) -> "keras.Model":
    """Makes a functional model, in float32 under every global dtype policy.

    Args:
        name: one of `names()`, or `app:NAME` for any constructor of `keras.applications`.
        num_classes: number of logits.
        input_shape: (H, W, C) of the images, C 1 or 3; pixels come as float32 in 0..255.
        width: factor of the number of channels of every layer, > 0.
        stem_stride: additional stride of the first convolution, >= 1; 2 quarters the cost of all
            later layers.
        knobs: only `weights`, and only for `app:NAME`: None for random weights, "imagenet" (which
            Keras downloads once), or the path of a file of weights.

    Returns:
        keras.Model from "images" to (B, num_classes) float32 logits. Its name is the
        architecture's.

    Raises:
        ValueError: unknown name or knob, images too small for the model, or a model of more than
            `MAX_PARAMETERS`.
    """
    check_knobs(name, knobs | {"width": width, "stem_stride": stem_stride})
    check.whole_number("num_classes", num_classes, at_least=1)
    shape: dict[str, Any] = {"num_classes": num_classes, "input_shape": tuple(input_shape)}
    quiet_import.import_keras()
    if name.startswith("app:"):
        applications = importlib.import_module("kd_keras.models.applications")
        return _in_float32(applications.build, name.removeprefix("app:"), **shape, **knobs)
    build = importlib.import_module(f"kd_keras.models.{_family(name)[0]}").build
    sizes = {"width": float(width), "stem_stride": stem_stride}
    if width > _SAFE_WIDTH:  # counted before it is built: the memory may not be there
        narrow_model = _in_float32(build, name, **shape, **{**sizes, "width": 1.0})
        _require_room(name, width, round(narrow_model.count_params() * width**2))
    return _in_float32(build, name, **shape, **sizes)


def check_knobs(name: str, knobs: Mapping[str, Any]) -> None:
    """Raises ValueError for a knob that the model `name` does not have, or one out of range.

    A `width` or `stem_stride` of 1 is none.

    Args:
        name: name of a model; app: and a name for one of keras.applications.
        knobs: values by knob, as in a spec.
    """
    allowed_knobs = ["weights"] if name.startswith("app:") else ["width", "stem_stride"]
    for knob, value in knobs.items():
        if not (knob in ("width", "stem_stride") and value == 1):
            check.one_of(f"a knob of {name}", knob, allowed_knobs)
    check.number("width", knobs.get("width", 1), above=0, at_most=100)
    check.whole_number("stem_stride", knobs.get("stem_stride", 1), at_least=1)


def _require_room(name: str, width: float, parameters: int) -> None:
    if parameters > MAX_PARAMETERS:
        raise ValueError(
            f"{name} with width {width:g} has about {parameters:,} parameters; expected at most "
            f"{MAX_PARAMETERS:,}. Give a smaller width."
        )


def _in_float32(build: Any, name: str, **knobs: Any) -> "keras.Model":
    """Builds the model under a float32 policy. Twins, not models, have a lower precision."""
    import keras

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        return build(name, **knobs)
    finally:
        keras.config.set_dtype_policy(policy)


def _family(name: str) -> tuple[str, str]:
    remedy = "Use `app:NAME` for a model of keras.applications, or a path that ends in .keras."
    check.one_of("model", name, _families(), remedy=remedy)
    return _families()[name]


@functools.cache
def _families() -> dict[str, tuple[str, str]]:
    """Each name to (module of its family, description), read from the source files."""
    families = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NAMES":
                lines = ast.literal_eval(node.value)
                families.update({name: (path.stem, line) for name, line in lines.items()})
    return families
