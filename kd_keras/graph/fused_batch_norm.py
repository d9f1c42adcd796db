"""A batch norm that uses TensorFlow's fused kernel."""

import keras
import tensorflow as tf

from kd_keras.tensor_types import Tensor


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch norm on TensorFlow's fused kernel, with equal outputs and moving statistics."""

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        by_batch = bool(training) and self.trainable  # normalise with the batch's statistics
        is_map = len(inputs.shape) == 4 and self.axis in (-1, 3)  # (B, H, W, C)
        if not is_map or mask is not None or (by_batch and (self.synchronized or self.renorm)):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        # In every precision, the kernel takes its parameters in float32.
        mean = keras.ops.cast(self.moving_mean, "float32")
        variance = keras.ops.cast(self.moving_variance, "float32")
        outputs, batch_mean, batch_variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=keras.ops.cast(self.gamma, "float32") if self.scale else tf.ones([channels]),
            offset=keras.ops.cast(self.beta, "float32") if self.center else tf.zeros([channels]),
            mean=tf.zeros([0]) if by_batch else mean,
            variance=tf.zeros([0]) if by_batch else variance,
            epsilon=self.epsilon,
            is_training=by_batch,
        )
        if by_batch:
            # The kernel returns the unbiased variance; Keras uses the biased one.
            num_values = tf.cast(tf.size(inputs) // channels, "float32")
            batch_variance = batch_variance * (num_values - 1) / num_values
            new_share = 1.0 - self.momentum
            self.moving_mean.assign(mean * self.momentum + batch_mean * new_share)
            self.moving_variance.assign(variance * self.momentum + batch_variance * new_share)
        return outputs
