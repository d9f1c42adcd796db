"""Where the weights of a model of `keras.applications` come from: Keras's download, or a file."""

import contextlib
import socket
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras

CLASSES = 1000
PATIENCE = 20.0  # seconds without an answer from the server; Keras has no limit

Constructor = Callable[..., keras.Model]


def body(
    constructor: Constructor, images: keras.KerasTensor, *, weights: str | None, own_head: bool
) -> keras.Model:
    """The constructor's model on `images`, with its weights.

    Args:
        constructor: function of `keras.applications`.
        images: (B, H, W, 3), preprocessed.
        weights: None for random weights, "imagenet" for Keras's download (stored in `~/.keras`),
            or the path of a file of weights, with or without ImageNet's head.
        own_head: whether the model ends in its own head (logits) or in its last feature map.

    Raises:
        ValueError: a file for a different architecture, or images that do not fit.
        Exception: the download failed; raised by Keras.
    """
    if weights not in (None, "imagenet"):
        return _from_file(constructor, images, str(Path(weights).expanduser()), own_head)
    with _patient():
        return _constructed(constructor, weights, own_head, input_tensor=images)


def _from_file(
    constructor: Constructor, images: keras.KerasTensor, path: str, own_head: bool
) -> keras.Model:
    try:
        return _constructed(constructor, path, own_head, input_tensor=images)
    except (ValueError, OSError) as error:
        if own_head:
            raise ValueError(_does_not_fit(path, error)) from error
    try:
        # At its own size: the file may have the head.
        full_model = _constructed(constructor, path, True)
    except (ValueError, OSError) as error:
        raise ValueError(_does_not_fit(path, error)) from error
    backbone = _constructed(constructor, None, False, input_tensor=images)
    backbone.set_weights(full_model.get_weights()[: len(backbone.weights)])  # the head comes last
    return backbone


def _constructed(
    constructor: Constructor, weights: str | None, own_head: bool, **inputs: Any
) -> keras.Model:
    with warnings.catch_warnings():
        # MobileNets warn of every size they have no weights of, where any size would do.
        warnings.simplefilter("ignore")
        return constructor(
            weights=weights, include_top=own_head, classifier_activation=None, **inputs
        )


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """Ends a connection without an answer; Keras's download has no setting for it."""
    old_timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(old_timeout)


def _does_not_fit(path: str, error: Exception) -> str:
    first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return (
        f"the weights file {path} does not fit ({first}); expected weights of this "
        "architecture in a file of keras.applications or of `model.save_weights`. Give that file, "
        "or --weights none for random weights."
    )
