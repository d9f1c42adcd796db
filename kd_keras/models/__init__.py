"""The zoo: functional Keras models for small images, from pixels 0..255 to logits, by name.

A family of models is a file with a literal `NAMES` (name: description in one line) and a function
`build`. It needs no other entry. Every model has these taps, which are layer names: `stage1` to
`stageN` (B, H, W, C), each after its last ReLU; `stageN_preact`, the same before that ReLU;
`pooled` (B, D), the input of the last dense layer; and `logits` (B, num_classes).
"""

import ast
import functools
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kd_keras import check
from kd_keras.graph import quiet_import

if TYPE_CHECKING:
    import keras


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
        ValueError: unknown name or knob, or images too small for the model.
    """
    check.whole_number("num_classes", num_classes, at_least=1)
    shape: dict[str, Any] = {"num_classes": num_classes, "input_shape": tuple(input_shape)}
    sizes = {
        "width": check.number("width", width, above=0),
        "stem_stride": check.whole_number("stem_stride", stem_stride, at_least=1),
    }
    quiet_import.import_keras()
    if name.startswith("app:"):
        _refuse(name, [knob for knob, value in sizes.items() if value != 1], allowed=["weights"])
        _refuse(name, list(knobs), allowed=["weights"])
        applications = importlib.import_module("kd_keras.models.applications")
        return _in_float32(applications.build, name.removeprefix("app:"), **shape, **knobs)
    _refuse(name, list(knobs), allowed=list(sizes))
    family = importlib.import_module(f"kd_keras.models.{_family(name)[0]}")
    return _in_float32(family.build, name, **shape, **sizes)


def check_weights(weights: str | None) -> None:
    """Raises FileNotFoundError unless it is None, "none", "imagenet" or the path of a file."""
    if weights not in (None, "none", "imagenet") and not Path(weights).expanduser().is_file():
        raise FileNotFoundError(
            f"weights is {weights!r}, which is not a file; expected imagenet, none or a file of "
            "weights. Check the spelling or the path."
        )


def _refuse(name: str, knobs: list[str], *, allowed: list[str]) -> None:
    for knob in knobs:
        check.one_of(f"a knob of {name}", knob, allowed)


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
