"""Any model of `keras.applications`, from pixels 0..255 to logits: `models.get("app:NAME")`."""

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np

from kd_keras import check
from kd_keras.models import imagenet, preprocessing
from kd_keras.models.weights import check_weights

_Preprocess: TypeAlias = Callable[[np.ndarray], Any]
_Constructors: TypeAlias = dict[str, tuple[Callable[..., keras.Model], _Preprocess]]


def build(
    name: str,
    *,
    num_classes: int,
    input_shape: tuple[int, ...],
    weights: str | None = None,
) -> keras.Model:
    """The model `name`, with its own preprocessing inside, that returns logits.

    With weights for ImageNet's 1000 classes, and if we have 1000 classes too, the model keeps its
    own head. Otherwise its body gets the taps `pooled` (the mean over all places) and `logits` (a
    new dense layer).

    Args:
        name: name of a constructor in `keras.applications`; case does not matter.
        num_classes: number of logits.
        input_shape: (H, W, C), C 1 or 3; grey images are repeated to three channels.
        weights: None or "none" for random weights, "imagenet" for those of ImageNet (Keras
            downloads them once to ~/.keras/models), or the path of a file of weights, with or
            without the head.

    Returns:
        keras.Model from "images", (B, H, W, C) float32 in 0..255, to (B, num_classes) float32.

    Raises:
        ValueError: unknown name, images that are too small for the model, or a file of weights
            for a different architecture.
        FileNotFoundError: the file of weights does not exist.
        OSError: the weights cannot be downloaded.
    """
    check_weights(weights)
    weights = None if weights == "none" else weights
    name = _spelled_as_keras_does(name)
    constructor, preprocess_input = _constructors()[name]
    inputs = keras.Input(input_shape, name="images")
    mode = preprocessing_mode(name, preprocess_input)
    x = preprocessing.encode(preprocessing.three_channels(inputs), mode)
    own_head = weights is not None and num_classes == imagenet.CLASSES
    try:
        body = imagenet.body(constructor, x, weights=weights, own_head=own_head)
    except Exception as error:
        raise _translate_error(error, name, input_shape, weights) from error
    outputs = body.output
    if not own_head:
        outputs = keras.layers.GlobalAveragePooling2D(name="pooled")(outputs)
        outputs = keras.layers.Dense(num_classes, name="logits")(outputs)
    return keras.Model(inputs, outputs, name=name)


def preprocessing_mode(name: str, preprocess_input: _Preprocess) -> str:
    """The mode of `preprocessing.MODES` that does the same as `preprocess_input` to a few pixels.

    Raises:
        ValueError: no mode has the same results.
    """
    probe = np.linspace(0, 255, 12, dtype="float32").reshape(1, 2, 2, 3)
    expected_pixels = np.asarray(preprocess_input(probe.copy()))
    for mode in preprocessing.MODES:
        if np.allclose(preprocessing.encode_array(probe, mode), expected_pixels, atol=1e-3):
            return mode
    raise ValueError(
        f"app:{name} has its own preprocessing of pixels; expected one of: "
        f"{', '.join(preprocessing.MODES)}. Build it in Keras, save it as .keras and give its path."
    )


def _spelled_as_keras_does(name: str) -> str:
    keras_spellings = {name.lower(): name for name in _constructors()}
    if name.lower() in keras_spellings:
        return keras_spellings[name.lower()]
    return str(check.one_of("model of keras.applications", name, _constructors()))


def _constructors() -> _Constructors:
    """Each constructor's name to the constructor and its family's preprocess_input."""
    constructors: _Constructors = {}
    for name, constructor in vars(keras.applications).items():
        if inspect.isfunction(constructor):
            family = getattr(keras.applications, constructor.__module__.rpartition(".")[2])
            constructors[name] = (constructor, family.preprocess_input)
    return constructors


def _translate_error(
    error: Exception, name: str, input_shape: tuple[int, ...], weights: str | None
) -> Exception:
    if weights == "imagenet" and not isinstance(error, ValueError):
        return OSError(
            f"the ImageNet weights of app:{name} are not on this machine, and the download failed "
            f"({error}). Download the file on another machine and use --weights FILE, or start "
            "from random weights with --weights none."
        )
    if weights not in (None, "imagenet") and isinstance(error, ValueError):
        return ValueError(f"app:{name}: {error}")
    return ValueError(
        f"app:{name} cannot take images of {input_shape}: {error} "
        "Choose another --image-size or another model."
    )
