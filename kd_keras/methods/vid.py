"""Variational information distillation: the student's features predict the teacher's.

Loss: for each pair of taps, mean over all entries of ((mu(s) - t)^2 / v + log v) / 2, a Gaussian's
negative log-likelihood without its constant. mu is three trained 1x1 convolutions with ReLU between
them. v = softplus(a) + 1e-5 is trained too, one value per channel of the teacher, and starts at
`initial_variance`. The larger map is average-pooled to the smaller one's size.

Source: Ahn et al. 2019, "Variational Information Distillation for Knowledge Transfer",
arXiv:1904.05835, sections 2 and 3. Defaults: weight 1, the start of v and the three convolutions of
later comparisons of the method (RepDistiller). Reads several feature maps of each model. Each
example has its own loss.
"""

import math
from typing import Any, Unpack

import keras
from keras import layers, ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import projectors, tap_pairs
from kd_keras.methods.parts.tap_pairs import TapPairs, TapPairsKnobs
from kd_keras.tensor_types import LossTerms

SMALLEST_VARIANCE = 1e-5


class VID(TapPairs):
    """Gaussian likelihood of the teacher's features, given the student's.

    Args:
        taps, student_taps, teacher_taps: feature maps, see `TapPairs`.
        initial_variance: first value of every channel's variance, > 1e-5.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "features"
    supports_multi_label = True

    def __init__(self, *, initial_variance: float = 5.0, **common: Unpack[TapPairsKnobs]):
        super().__init__(**common)
        self.initial_variance = check.number(
            "initial_variance", initial_variance, above=SMALLEST_VARIANCE
        )

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        self.predictors = []
        for i, (student, teacher) in enumerate(self.map_shapes(student_shape, teacher_shape)):
            predictor = Predictor(
                teacher[-1], initial_variance=self.initial_variance, name=f"predictor_{i}"
            )
            predictor.build((None, *student[1:]))
            self.predictors.append(predictor)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        loss = 0.0
        for predict, s, t in zip(
            self.predictors, self.student_taps, self.teacher_taps, strict=True
        ):
            student_features, teacher_features = tap_pairs.same_size(student[s], teacher[t])
            predicted = predict(student_features)
            loss = loss + vid(predicted, teacher_features, predict.log_scale)["loss"]
        return loss


@keras.saving.register_keras_serializable(package="kd_keras")
class Predictor(keras.Layer):
    """Mean and, in `log_scale`, variance of a teacher's map, (B, h, w, c) to (B, h, w, C).

    Args:
        channels: C, number of the teacher's channels.
        hidden_channels: number of channels of the two inner maps; None: C.
        initial_variance: see `VID`.
    """

    def __init__(
        self,
        channels: int,
        *,
        hidden_channels: int | None = None,
        initial_variance: float = 5.0,
        **kwargs: Any,
    ):
        super().__init__(dtype="float32", **kwargs)
        self.channels = channels
        self.hidden_channels = hidden_channels or channels
        self.initial_variance = initial_variance

    def build(self, input_shape: tuple[Any, ...]) -> None:
        self.convolutions = []
        for i, channels in enumerate((self.hidden_channels, self.hidden_channels, self.channels)):
            convolution = layers.Conv2D(
                channels,
                1,
                use_bias=False,
                kernel_initializer=projectors.he_normal(),
                dtype="float32",
                name=f"convolution_{i}",
            )
            convolution.build(input_shape)
            input_shape = (*input_shape[:-1], channels)
            self.convolutions.append(convolution)
        self.log_scale = self.add_weight(
            shape=(self.channels,),
            initializer=keras.initializers.Constant(
                _softplus_inverse(self.initial_variance - SMALLEST_VARIANCE)
            ),
            name="log_scale",
        )

    def call(self, features: Tensor) -> Tensor:
        first, second, last = self.convolutions
        return last(ops.relu(second(ops.relu(first(features)))))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "channels": self.channels,
            "hidden_channels": self.hidden_channels,
            "initial_variance": self.initial_variance,
        }


def vid(predicted: Tensor, teacher_features: Tensor, log_scale: Tensor) -> LossTerms:
    """Named parts of the method.

    Args:
        predicted: (B, H, W, C) float, the predicted mean of the teacher's features.
        teacher_features: (B, H, W, C) float; no gradient flows back.
        log_scale: (C,) float; the variances are softplus of it, plus 1e-5.

    Returns:
        `loss`: (B,) float32 in nats an entry, mean over each example's entries; may be negative.
    """
    teacher_features = ops.stop_gradient(ops.cast(teacher_features, "float32"))
    variance = ops.softplus(ops.cast(log_scale, "float32")) + SMALLEST_VARIANCE
    squares = ops.square(ops.cast(predicted, "float32") - teacher_features)
    return {"loss": 0.5 * ops.mean(squares / variance + ops.log(variance), axis=(1, 2, 3))}


def _softplus_inverse(value: float) -> float:
    return value + math.log(-math.expm1(-value))
