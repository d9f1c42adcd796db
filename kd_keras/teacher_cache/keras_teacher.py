"""A Keras model as the teacher whose outputs a cache stores."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from kd_keras.distill.step.teacher import Teacher
from kd_keras.teacher_cache.writer import TeacherFunction


def teacher_function(
    model: keras.Model,
    taps: Sequence[str],
    *,
    precision: str,
    classifies: bool = True,
    multi_label: bool = False,
) -> TeacherFunction:
    """A compiled function that runs the model in inference mode.

    Args:
        model: classifier that takes pixels 0..255 (B, H, W, C).
        taps: names of the features to return beside "logits".
        precision: one of `graph.precision.PRECISIONS`.
        classifies, multi_label: see `Teacher`.

    Returns:
        A function from images to outputs, see `writer.TeacherFunction`.
    """
    form = {"classifies": classifies, "multi_label": multi_label}
    teacher = Teacher(model, taps, precision=precision, **form)

    @tf.function(reduce_retracing=True)
    def run(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return teacher(tf.cast(images, "float32"))

    return lambda images: {name: value.numpy() for name, value in run(images).items()}
