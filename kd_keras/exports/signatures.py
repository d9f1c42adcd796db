"""What a SavedModel computes: from pixels, or image files, to probabilities and logits."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kd_keras.data import orientation, resizing
from kd_keras.graph import taps

# float32's smallest normal number: the logarithm of a probability that underflowed stays finite.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)

Outputs = dict[str, tf.Tensor]
Answer = Callable[[tf.Tensor], Outputs]


def answer(student: keras.Model, *, head: str) -> Answer:
    """A function from images, uint8 (B, H, W, C), to `probabilities` and `logits`.

    Args:
        student: gives (B, classes), or a dict that holds them as "logits".
        head: what these are: "logits" or "probabilities".
    """

    def answers(images: tf.Tensor) -> Outputs:
        outputs = student(tf.cast(images, tf.float32), training=False)
        output = tf.cast(taps.logits_of(outputs), tf.float32)
        if head == "logits":
            return {"probabilities": tf.nn.softmax(output), "logits": output}
        logits = tf.math.log(tf.maximum(output, SMALLEST_PROBABILITY))
        return {"probabilities": output, "logits": logits}

    return answers


def decoded(image_bytes: tf.Tensor, shape: tuple[int, ...], *, resize: str) -> tf.Tensor:
    """(B,) strings, image files, to uint8 (B, H, W, C): upright, resized as in training."""
    height, width, channels = shape

    def one(encoded: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
        image = tf.ensure_shape(image, (None, None, channels))
        image = orientation.upright(image, orientation.of(encoded))
        return resizing.resized(image, height=height, width=width, how=resize)

    return tf.map_fn(one, image_bytes, fn_output_signature=tf.TensorSpec(shape, tf.uint8))


def module(
    student: keras.Model, answer: Answer, shape: tuple[int, ...], *, resize: str
) -> tf.Module:
    """A module whose `serve` takes `images` and whose `serve_bytes` takes `image_bytes`."""
    pixels = tf.TensorSpec((None, *shape), tf.uint8, name="images")
    files = tf.TensorSpec((None,), tf.string, name="image_bytes")
    root = tf.Module()
    # TensorFlow's variables, since a session restores no others: Keras's hide them from its saver.
    # Not the model, since a compiled one would bring its optimizer along.
    root.student_variables = [variable.value for variable in student.variables]
    root.serve = tf.function(answer, input_signature=[pixels])

    def answer_bytes(image_bytes: tf.Tensor) -> Outputs:
        return answer(decoded(image_bytes, shape, resize=resize))

    root.serve_bytes = tf.function(answer_bytes, input_signature=[files])
    return root
