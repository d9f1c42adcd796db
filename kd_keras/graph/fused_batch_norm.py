"""Keras's batch norm on TensorFlow's fused kernel."""

from typing import Any

import keras
import tensorflow as tf

Tensor = Any


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch norm on TensorFlow's fused kernel: same results, moving statistics too."""

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        by_batch = bool(training) and self.trainable
        is_map = len(inputs.shape) == 4 and self.axis in (-1, 3)
        if not is_map or mask is not None or (by_batch and (self.synchronized or self.renorm)):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=_read(self.gamma) if self.scale else tf.ones([channels]),
            offset=_read(self.beta) if self.center else tf.zeros([channels]),
            mean=tf.zeros([0]) if by_batch else _read(self.moving_mean),
            variance=tf.zeros([0]) if by_batch else _read(self.moving_variance),
            epsilon=self.epsilon,
            is_training=by_batch,
        )
        if not by_batch:
            return outputs
        # The kernel gives the unbiased variance; Keras keeps the biased one.
        count = tf.cast(tf.size(inputs) // channels, "float32")
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance * (count - 1) / count)
        return outputs

    def _move(self, statistic: Any, batch_value: Tensor) -> None:
        kept = _read(statistic) * self.momentum
        statistic.assign(kept + batch_value * (1.0 - self.momentum))


def _read(variable: Any) -> Tensor:
    """A batch norm's parameter in float32, as the fused kernel takes it at any precision."""
    return keras.ops.cast(variable, "float32")
