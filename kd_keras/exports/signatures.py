"""The signatures of a SavedModel: from pixels, or image files, to probabilities and logits."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kd_keras.data.images import orientation, resizing
from kd_keras.exports import system_errors
from kd_keras.graph import heads, taps

Outputs = dict[str, tf.Tensor]
Answer = Callable[[tf.Tensor], Outputs]


def answer(student: keras.Model, *, head: str, multi_label: bool = False) -> Answer:
    """A function from images, uint8 (B, H, W, C), to `probabilities` and `logits`.

    Args:
        student: returns outputs (B, classes), or a dict that holds them as "logits".
        head: what these outputs are: "logits", "probabilities", "sigmoid" or "sigmoids" (see
            `heads.output_type`).
        multi_label: whether an image may have several classes: each then has a sigmoid of its own.
    """

    def answers(images: tf.Tensor) -> Outputs:
        outputs = student(tf.cast(images, tf.float32), training=False)
        output = tf.cast(taps.logits_of(outputs), tf.float32)
        logits = heads.logits_of_teacher(output, head)
        if head == "logits":
            probabilities = tf.nn.sigmoid(logits) if multi_label else tf.nn.softmax(logits)
            return {"probabilities": probabilities, "logits": logits}
        class_probabilities = (
            tf.concat([1 - output, output], axis=-1) if head == "sigmoid" else output
        )
        return {"probabilities": class_probabilities, "logits": logits}

    return answers


def decoded(image_bytes: tf.Tensor, shape: tuple[int, ...], *, resize: str) -> tf.Tensor:
    """Decodes image files, (B,) strings, to uint8 (B, H, W, C), upright, resized as in training.

    Args:
        image_bytes: (B,) string, contents of image files.
        shape: (H, W, C) of the result.
        resize: "crop", "pad" or "squash", see `resizing.resized`.
    """
    height, width, channels = shape

    def one(image_bytes: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(image_bytes, channels=channels, expand_animations=False)
        image = tf.ensure_shape(image, (None, None, channels))
        image = orientation.turn_upright(image, orientation.read_orientation(image_bytes))
        return resizing.resized(image, height=height, width=width, how=resize)

    return tf.map_fn(one, image_bytes, fn_output_signature=tf.TensorSpec(shape, tf.uint8))


def module(
    student: keras.Model, answer: Answer, shape: tuple[int, ...], *, resize: str
) -> tf.Module:
    """A module whose `serve` takes `images` and whose `serve_bytes` takes `image_bytes`.

    Args:
        student: the model, which the module keeps.
        answer: from a batch of images to the outputs by name.
        shape: (H, W, C) of the images that the model takes.
        resize: how image files are made square, see `resizing.resized`.
    """
    pixels = tf.TensorSpec((None, *shape), tf.uint8, name="images")
    files = tf.TensorSpec((None,), tf.string, name="image_bytes")
    root = tf.Module()
    # Attach TensorFlow's variables: a session restores only those, and Keras's variables hide them
    # from TensorFlow's saver. Attaching the model would also save the optimizer of a compiled one.
    root.student_variables = [variable.value for variable in student.variables]
    root.serve = tf.function(answer, input_signature=[pixels])

    def answer_bytes(image_bytes: tf.Tensor) -> Outputs:
        return answer(decoded(image_bytes, shape, resize=resize))

    root.serve_bytes = tf.function(answer_bytes, input_signature=[files])
    return root


def save(root: tf.Module, folder: str, signatures: dict[str, Any]) -> None:
    """Writes a SavedModel.

    Raises:
        OSError: the files cannot be written.
    """
    try:
        tf.saved_model.save(root, folder, signatures=signatures)
    except tf.errors.OpError as error:  # TensorFlow reports a full disk so
        raise system_errors.as_os_error(error) from error
