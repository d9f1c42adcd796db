"""Adapts a teacher from elsewhere to our pixels, our image size and our order of classes."""

import keras

from kd_keras import check
from kd_keras.graph import heads, taps
from kd_keras.models import class_matching, preprocessing


def adapt_teacher(
    model: keras.Model,
    *,
    input_shape: tuple[int, int, int] | None = None,
    preprocess: str | None = None,
    image_size: int | None = None,
    classes: tuple[list[str], list[str]] | None = None,
    multi_label: bool = False,
) -> keras.Model:
    """A model that takes our images, runs `model`, and returns scores in our order of classes.

    Args:
        model: classifier from one batch of images to (B, its classes); its weights are shared.
        input_shape: (H, W, C) of our images; None: the teacher's (any size if `image_size` is
            given). Grey images are repeated to three channels for a teacher of colour images.
        preprocess: range of the pixels that it was trained on, one of `preprocessing.MODES`; None:
            ours, 0..255.
        image_size: height and width of its images; ours are resized to it, bilinearly.
        classes: (its class names in its order, our class names in our order). It may know more
            classes, whose scores are dropped; see `class_matching.class_order` for names.
        multi_label: whether an image may have several classes, see `heads.output_type`.

    Returns:
        keras.Model from "images", (B, H, W, C) float32 in 0..255, to (B, our classes); `model`
        itself if no argument is given. With `classes`, probabilities come as their logarithms:
        their softmax is the probabilities, renormalised over our classes.

    Raises:
        ValueError: unknown mode, sizes or channels that do not fit, or class names that are
            missing, doubled or too many.
    """
    if input_shape is None and preprocess is None and image_size is None and classes is None:
        return model
    own_shape = tuple(model.inputs[0].shape[1:])
    size = own_shape[:2]
    if image_size is not None:
        size = (check.whole_number("image_size of the teacher", image_size, at_least=1),) * 2
        _check_size("its image_size", size, own_shape)
    shape = input_shape or (*((None, None) if image_size else size), own_shape[2])
    images = keras.Input(shape, name="images")
    x = _resized(images, size) if image_size else images
    _check_size("its images", x.shape[1:3], own_shape)
    x = _with_channels(x, own_shape[2])
    scores = model(preprocessing.encode(x, preprocess or "0..255"))
    if classes is not None:
        order = class_matching.class_order(*classes, scores.shape[-1])
        head = heads.output_type(model, multi_label=multi_label)
        if head in ("probabilities", "sigmoids"):
            scores = heads.logits_of_teacher(scores, head)
        scores = keras.ops.take(scores, order, axis=-1)
    return keras.Model(images, scores, name=f"{model.name}_adapted")


def two_logits(model: keras.Model) -> keras.Model:
    """A classifier with one sigmoid output as one with two logits, (0, the sigmoid's input).

    The sigmoid's output is the probability of the second class. Layers keep their names. A model
    with more outputs is returned as it is.

    Raises ValueError for one output that is not a sigmoid.
    """
    if [tuple(tensor.shape) for tensor in model.outputs] != [(None, 1)]:
        return model
    output_type = heads.output_type(model)
    (images,), (scores,) = model.inputs, model.outputs
    if not taps.is_graph(model):  # its call() does more than its graph says
        images = keras.Input(images.shape[1:], name="images")
        scores = model(images)
    return keras.Model(images, heads.logits_of_teacher(scores, output_type), name=model.name)


def _check_size(what: str, size: tuple[int | None, ...], own_shape: tuple[int | None, ...]) -> None:
    pairs = zip(size, own_shape, strict=False)
    if any(a is not None and b is not None and a != b for a, b in pairs):
        raise ValueError(
            f"the teacher takes images of {own_shape[0]}x{own_shape[1]}; got {size[0]}x{size[1]} "
            f"for {what}. Give --teacher-image-size {own_shape[0]}."
        )


def _resized(images: keras.KerasTensor, size: tuple[int, int]) -> keras.KerasTensor:
    if tuple(images.shape[1:3]) == size:
        return images
    return keras.layers.Resizing(*size, interpolation="bilinear", name="resized")(images)


def _with_channels(images: keras.KerasTensor, channels: int | None) -> keras.KerasTensor:
    if channels in (None, images.shape[-1]):
        return images
    if (images.shape[-1], channels) != (1, 3):
        raise ValueError(
            f"the teacher takes images of {channels} channel(s); got {images.shape[-1]}. "
            "Choose a teacher for such images."
        )
    return preprocessing.three_channels(images)
