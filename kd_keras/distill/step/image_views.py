"""Several views of each image: together for the models, apart for the methods."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from kd_keras.tensor_types import ExampleLosses, Outputs

SECOND_VIEW = "_view2"  # ends the name of an output of an image's second view
LOGITS_BY_VIEW = ("logits", f"logits{SECOND_VIEW}")


def flatten(inputs: Any, views: int) -> Any:
    """(B, views, …) inputs as (B * views, …), what a model takes; inputs of one view as they are.

    Args:
        inputs: one array of images, or a structure of such arrays for a model of several inputs.
        views: views of each image.

    Raises:
        ValueError: an array has another number of views, or does not hold images.
    """
    if views == 1:
        return inputs
    return keras.tree.map_structure(lambda images: _flatten_images(images, views), inputs)


def _flatten_images(images: Any, views: int) -> Any:
    shape = tuple(images.shape)
    if len(shape) != 5 or shape[1] != views:
        raise ValueError(
            f"inputs have shape {shape}; expected (B, {views}, H, W, C), {views} views of each "
            "image, in every input. Set views_per_image in the pipeline, or use methods of one "
            "view."
        )
    return keras.ops.reshape(images, (-1, *shape[2:]))


def separate(outputs: Outputs, views: int) -> Outputs:
    """(B * views, …) outputs of a model as two (B, …) each, of the first and of the second view."""
    first = {name: value[::views] for name, value in outputs.items()}
    second = {f"{name}{SECOND_VIEW}": value[1::views] for name, value in outputs.items()}
    return first | second


def with_first_view(call: Callable[..., ExampleLosses], views: int) -> Callable[..., ExampleLosses]:
    """A call of a method of one view, whose batch has the inputs of each image's first view."""

    def call_with_first(*, batch: Any, **outputs: Outputs) -> ExampleLosses:
        first = keras.tree.map_structure(lambda images: images[::views], batch.inputs)
        return call(**outputs, batch=dataclasses.replace(batch, inputs=first))

    return call_with_first
