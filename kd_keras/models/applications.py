"""Any model of `keras.applications`, from pixels 0..255 to logits: `models.get("app:NAME")`."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np

from kd_keras import check
from kd_keras.models import pixels

_IMAGENET_CLASSES = 1000
_Preprocess: TypeAlias = Callable[[np.ndarray], Any]
_Constructors: TypeAlias = dict[str, tuple[Callable[..., keras.Model], _Preprocess]]


def build(
    name: str,
    *,
    num_classes: int,
    input_shape: tuple[int, ...],
    weights: str | None = None,
) -> keras.Model:
    """The constructor `name` with its own preprocessing inside and logits out.

    With ImageNet's weights and its 1000 classes the model keeps its own head; otherwise its body
    gets the taps `pooled` (the mean over all places) and `logits` (a new dense layer).

    Args:
        name: of a constructor in `keras.applications`; case does not matter.
        num_classes: number of logits.
        input_shape: (H, W, C), C 1 or 3; grey images are repeated to three channels.
        weights: None for a fresh start (no network needed), or "imagenet" (downloaded by Keras).

    Returns:
        keras.Model from "images", (B, H, W, C) float32 in 0..255, to (B, num_classes) float32.

    Raises:
        ValueError: for an unknown name, or images that Keras finds too small for it.
        OSError: where the weights cannot be downloaded.
    """
    check.one_of("weights", weights, [None, "imagenet"])
    name = _spelled_as_keras_does(name)
    constructor, preprocess_input = _constructors()[name]
    inputs = keras.Input(input_shape, name="images")
    mode = preprocessing_mode(name, preprocess_input)
    x = pixels.encode(pixels.three_channels(inputs), mode)
    own_head = weights == "imagenet" and num_classes == _IMAGENET_CLASSES
    try:
        with warnings.catch_warnings():
            # MobileNets warn of every size they have no weights of, where any size would do.
            warnings.simplefilter("ignore")
            body = constructor(
                weights=weights, include_top=own_head, input_tensor=x, classifier_activation=None
            )
    except Exception as error:
        raise _in_words(error, name, input_shape, weights) from error
    outputs = body.output
    if not own_head:
        outputs = keras.layers.GlobalAveragePooling2D(name="pooled")(outputs)
        outputs = keras.layers.Dense(num_classes, name="logits")(outputs)
    return keras.Model(inputs, outputs, name=name)


def preprocessing_mode(name: str, preprocess_input: _Preprocess) -> str:
    """The mode of `pixels.MODES` that gives what `preprocess_input` gives, found by trying.

    Raises:
        ValueError: where none does.
    """
    probe = np.linspace(0, 255, 12, dtype="float32").reshape(1, 2, 2, 3)
    expected = np.asarray(preprocess_input(probe.copy()))
    for mode in pixels.MODES:
        if np.allclose(pixels.encode_array(probe, mode), expected, atol=1e-3):
            return mode
    raise ValueError(
        f"app:{name} preprocesses its pixels in a way of its own; expected one of: "
        f"{', '.join(pixels.MODES)}. Build it in Keras, save it as .keras and give its path."
    )


def _spelled_as_keras_does(name: str) -> str:
    spelled = {known.lower(): known for known in _constructors()}
    if name.lower() in spelled:
        return spelled[name.lower()]
    return check.one_of("model of keras.applications", name, _constructors())


def _constructors() -> _Constructors:
    """Every constructor's name with the constructor and its family's preprocess_input."""
    found: _Constructors = {}
    for name, constructor in vars(keras.applications).items():
        if inspect.isfunction(constructor):
            family = getattr(keras.applications, constructor.__module__.rpartition(".")[2])
            found[name] = (constructor, family.preprocess_input)
    return found


def _in_words(
    error: Exception, name: str, input_shape: tuple[int, ...], weights: str | None
) -> Exception:
    if weights is not None and not isinstance(error, ValueError):
        return OSError(
            f"the ImageNet weights of app:{name} could not be had ({error}); expected network. "
            "Leave out --weights imagenet to start afresh."
        )
    return ValueError(
        f"app:{name} got images of {input_shape} and refused them: {error} "
        "Choose another --image-size or another model."
    )
