"""The graph that an export holds: from a batch of pixels to probabilities and logits."""

import dataclasses
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kd_keras.exports import signatures
from kd_keras.graph import float32_form, heads, last_activation

INPUT = "images"


@dataclasses.dataclass(frozen=True)
class ClassifierGraph:
    """A Keras classifier with what its exports need to know.

    Attributes:
        model: a classifier of float32 layers, from pixels 0..255, (B, H, W, C), without a last
            softmax or sigmoid if that can be taken out.
        head: what it returns, see `heads.output_type`.
        shape: (H, W, C) of the images.
        outputs: names of what the graph gives.
        multi_label: whether an image may have several classes.
    """

    model: keras.Model
    head: str
    shape: tuple[int, int, int]
    outputs: tuple[str, ...] = ("logits", "probabilities")
    multi_label: bool = False

    @property
    def name(self) -> str:
        return str(self.model.name)

    def function(self, *, floats: bool = False) -> Any:
        """A tf.function from images, uint8 or with `floats` float32, to a dict of `outputs`."""
        answer = signatures.answer(self.model, head=self.head, multi_label=self.multi_label)

        def run(images: tf.Tensor) -> dict[str, tf.Tensor]:
            answers = answer(images)
            return {name: answers[name] for name in self.outputs}

        dtype = tf.float32 if floats else tf.uint8
        spec = tf.TensorSpec((None, *self.shape), dtype, name=INPUT)
        return tf.function(run, input_signature=[spec])

    def for_few_bits(self) -> "ClassifierGraph":
        """The graph for quantised files: it gives logits first, or else probabilities alone.

        In few bits, logits cannot be computed from probabilities: in 8 bits a probability is a
        multiple of 1/256, and in 16 bits a small one is 0, whose logarithm is infinite.
        """
        if self.head == "logits":
            return self
        return dataclasses.replace(self, outputs=("probabilities",))

    def save(self, folder: str | Path, *, floats: bool = False) -> None:
        """Writes a SavedModel of the graph, for converters; the folder must not exist."""
        root = tf.Module()
        root.weights = [variable.value for variable in self.model.variables]
        root.serve = self.function(floats=floats)
        signatures.save(root, str(folder), {"serving_default": root.serve})


def from_model(
    model: keras.Model, shape: tuple[int, int, int], *, multi_label: bool = False
) -> ClassifierGraph:
    """The graph of a classifier; layers of lower precision are copied to float32.

    Args:
        model: the classifier.
        shape: (H, W, C) of the images that the file takes.
        multi_label: whether an image may have several classes.

    Raises:
        ValueError: the model is not a classifier, or cannot be copied to float32.
    """
    model = float32_form.in_float32(model)
    head = heads.output_type(model, multi_label=multi_label)
    model, head = before_activation(model, head)
    return ClassifierGraph(model, head, shape, multi_label=multi_label)


def before_activation(model: keras.Model, head: str) -> tuple[keras.Model, str]:
    """The classifier without a softmax or sigmoid at its end, and what it then returns.

    Logits that are computed from probabilities have their rounding, which counts where one is
    nearly 0 or 1.

    Args:
        model: a classifier.
        head: what it returns, see `heads.output_type`.

    Returns:
        A model of the same layers that returns logits, and "logits". Both arguments as they are if
        it does so already, or if the activation cannot be taken out (`last_activation.remove`).
    """
    before = None if head == "logits" else last_activation.remove(model)
    return (model, head) if before is None else (before, "logits")
