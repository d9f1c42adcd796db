"""`kdk list models NAME`: a model's knobs, and its cost at a given image size."""

import contextlib
from typing import TYPE_CHECKING, Any

from kd_keras import models
from kd_keras.cli import quiet
from kd_keras.job.recipe import old_spelling, spec

if TYPE_CHECKING:
    import keras

CLASSES = 200  # of Tiny ImageNet, the default dataset
SIDES = (64, 224)  # its images'; the larger for models of keras.applications that refuse them
_KNOBS = {
    "width": "factor of every layer's channels [1]",
    "stem_stride": "extra stride of the first convolution; 2 quarters the later cost [1]",
    "weights": "imagenet, none or a file of weights [--weights]",
}
_FLOAT32 = 4  # bytes


def explain(text: str) -> str:
    """Lines about the model of a spec, "NAME" or "NAME:knob=value,...".

    Raises:
        ValueError: unknown name or knob, with the nearest.
    """
    text = old_spelling.renamed_model(text)
    name, knobs = spec.parse(text)
    line = models.describe(name)  # refuses an unknown name before Keras is imported
    quiet.import_tensorflow()
    model, side = _build(name, {**knobs, **({"weights": "none"} if _is_application(name) else {})})
    knob_lines = [f"  {knob}: {_KNOBS[knob]}" for knob in _knobs(name)]
    size = f"for images of {side}x{side}x3 in {CLASSES} classes"
    if side == SIDES[0]:
        size += ", as in tiny_imagenet"
    parameters = model.count_params()
    return "\n".join(
        [
            f"{text}: {line}",
            "knobs, as in NAME:knob=value:",
            *knob_lines,
            f"{size}:",
            f"  parameters: {parameters:,}",
            f"  multiply-adds an image: {_macs(model)}",
            f"  float32 weights: {parameters * _FLOAT32 / 1e6:.2f} MB",
        ]
    )


def _knobs(name: str) -> tuple[str, ...]:
    return ("weights",) if _is_application(name) else ("width", "stem_stride")


def _is_application(name: str) -> bool:
    return name.startswith("app:")


def _build(name: str, knobs: dict[str, Any]) -> tuple["keras.Model", int]:
    """The model, and the image size that it is built for."""
    if _is_application(name):
        with contextlib.suppress(
            ValueError
        ):  # images too small, or an error that the larger size shows
            return _model(name, SIDES[0], knobs), SIDES[0]
        return _model(name, SIDES[1], knobs), SIDES[1]
    return _model(name, SIDES[0], knobs), SIDES[0]


def _model(name: str, side: int, knobs: dict[str, Any]) -> "keras.Model":
    return models.get(name, num_classes=CLASSES, input_shape=(side, side, 3), **knobs)


def _macs(model: "keras.Model") -> str:
    from kd_keras.models import cost

    try:
        multiply_adds = cost.macs(model)
    except ValueError as error:
        return f"not known ({str(error).partition(';')[0]})"
    return f"{multiply_adds:,} ({multiply_adds / 1e6:,.1f} million)"
