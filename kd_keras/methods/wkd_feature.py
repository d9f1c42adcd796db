"""Wasserstein distance of features: means and deviations of channels match the teacher's.

Loss: mean_weight * sum_c (mean_s(c) - mean_t(c))^2 + sum_c (std_s(c) - std_t(c))^2 over the places
of a feature map, std = sqrt(variance + 1e-5) with n - 1 in the variance. This is the squared
Wasserstein distance of two Gaussians of independent channels, with a factor. The student's map
passes a trained projector before. With grid g, the mean of this over g x g windows, which may
overlap. The loss falls to 0 like a cosine from `decay_start` of the run.

Source: Lv, Yang, Li 2024, "Wasserstein Distance Rivals Kullback-Leibler Divergence for Knowledge
Distillation", arXiv:2412.08139, section 3.2 (WKD-F), and the authors' code. Defaults, the authors'
for ResNet32x4 on CIFAR-100: projector conv, weight 0.08, mean_weight 4, grid 1, decay from epoch
150 of 240 on, cross-entropy 1. They use 0.3, 3 and grid 4 for WRN-40-2; for ImageNet the projector
bottleneck, weight 0.02 (ResNet-34) or 0.005 (ResNet-50), mean_weight 2, grid 4 and decay from the
start. Reads one feature map of each model. Each example has its own loss.
"""

from typing import Any, Unpack

import keras
from keras import layers, ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import alignment, decay, projectors, tap_pairs
from kd_keras.methods.parts.one_tap import OneTap, OneTapKnobs
from kd_keras.tensor_types import LossTerms

VARIANCE_EPSILON = 1e-5  # as in the authors' code


class WKDFeature(OneTap):
    """Gaussians of the channels of a feature map.

    Args:
        tap, student_tap, teacher_tap: the feature map of each model.
        projector: "conv", the regressor of `fitnet`, or "bottleneck": 1x1, 3x3 and 1x1 convolutions
            with biases and nothing between them, batch norm, ReLU; before them, the larger map is
            average-pooled to the smaller one's size.
        hidden_channels: channels of the bottleneck's inner maps, >= 1; unused with conv.
        mean_weight: factor of the means' part, >= 0.
        grid: number of windows in each direction, >= 1; each has two places or more.
        decay_start: share of the run, 0 to 1, after which the loss falls; 1: never.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "features"
    supports_multi_label = True
    default_tap = "stage3"
    default_weight = 0.08

    def __init__(
        self,
        *,
        projector: str = "conv",
        hidden_channels: int = 256,
        mean_weight: float = 4.0,
        grid: int = 1,
        decay_start: float = 0.625,
        **common: Unpack[OneTapKnobs],
    ):
        super().__init__(**common)
        self.projector = check.one_of("projector", projector, ("conv", "bottleneck"))
        self.hidden_channels = check.whole_number("hidden_channels", hidden_channels, at_least=1)
        self.mean_weight = check.number("mean_weight", mean_weight, at_least=0)
        self.grid = check.whole_number("grid", grid, at_least=1)
        self.decay_start = check.number("decay_start", decay_start, at_least=0, at_most=1)

    @property
    def needs_progress(self) -> bool:
        return super().needs_progress or self.decay_start < 1

    @property
    def ends_at_zero(self) -> bool:
        """Whether the loss is 0 at the run's end, so that a gradient of 0 there is meant."""
        return self.decay_start < 1

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        student = student_shape[self.student_taps[0]]
        teacher = teacher_shape[self.teacher_taps[0]]
        tap_pairs.require_map(self.name, "student", self.student_taps[0], student)
        tap_pairs.require_map(self.name, "teacher", self.teacher_taps[0], teacher)
        if self.projector == "bottleneck":
            size = alignment.smaller(student[1:3], teacher[1:3])
            self.projection: Any = bottleneck(
                (None, *size, student[-1]), teacher[-1], hidden_channels=self.hidden_channels
            )
        else:
            self.projection = projectors.Regressor(teacher, name="regressor")
            self.projection.build(student)
            size = tuple(self.projection.compute_output_shape(student)[1:3])
        if min(rows * columns for rows, columns in _sizes(size, self.grid)) < 2:
            raise ValueError(
                f"{self.name}: grid is {self.grid} on maps of {size[0]}x{size[1]} places; expected "
                "windows of two places or more, since one has no deviation. Choose a smaller grid= "
                "or an earlier tap=."
            )

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        features, target = student[self.student_taps[0]], teacher[self.teacher_taps[0]]
        if self.projector == "bottleneck":
            features, target = tap_pairs.same_size(features, target)
        projected = self.projection(features, training=batch.training)
        target = projectors.matched(projected, target)
        loss = wkd_feature(projected, target, mean_weight=self.mean_weight, grid=self.grid)["loss"]
        if self.decay_start < 1:
            loss = loss * decay.cosine(batch.progress, self.decay_start)
        return loss


def bottleneck(
    input_shape: tuple[Any, ...], channels: int, *, hidden_channels: int
) -> keras.Sequential:
    """A built projector from a map of `input_shape` to one of `channels`, of the same size.

    Args:
        input_shape: (None, H, W, c), shape of the student's map.
        channels: C of the teacher's map.
        hidden_channels: channels in between.
    """
    widths_and_kernels = ((hidden_channels, 1), (hidden_channels, 3), (channels, 1))
    block: list[layers.Layer] = [
        layers.Conv2D(
            width,
            kernel,
            padding="same",
            kernel_initializer=projectors.he_normal(),
            dtype="float32",
            name=f"bottleneck_convolution_{i}",
        )
        for i, (width, kernel) in enumerate(widths_and_kernels)
    ]
    block += [
        layers.BatchNormalization(
            epsilon=projectors.BATCH_NORM_EPSILON, dtype="float32", name="bottleneck_norm"
        ),
        layers.ReLU(dtype="float32", name="bottleneck_relu"),
    ]
    sequence = keras.Sequential(block, name="bottleneck")
    sequence.build(input_shape)
    return sequence


def wkd_feature(
    projected: Tensor, teacher_features: Tensor, *, mean_weight: float, grid: int
) -> LossTerms:
    """Named parts of the method.

    Args:
        projected: (B, H, W, C) float, the student's features after the projector.
        teacher_features: (B, H, W, C) float; no gradient flows back.
        mean_weight, grid: see `WKDFeature`.

    Returns:
        `loss_mean`, `loss_std`: (B,) float32, without the weight of the means. `loss`: (B,).
    """
    student = ops.cast(projected, "float32")
    teacher = ops.stop_gradient(ops.cast(teacher_features, "float32"))
    means, deviations = [], []
    for rows, columns in _windows(tuple(student.shape[1:3]), grid):
        (mean_s, std_s), (mean_t, std_t) = (
            _moments(x[:, rows, columns]) for x in (student, teacher)
        )
        means.append(ops.sum(ops.square(mean_s - mean_t), axis=-1))
        deviations.append(ops.sum(ops.square(std_s - std_t), axis=-1))
    mean_loss, deviation_loss = sum(means) / len(means), sum(deviations) / len(deviations)
    return {
        "loss": mean_weight * mean_loss + deviation_loss,
        "loss_mean": mean_loss,
        "loss_std": deviation_loss,
    }


def _moments(window: Tensor) -> tuple[Tensor, Tensor]:
    """(B, h, w, C) to the mean and the deviation over places, (B, C) each."""
    num_positions = window.shape[1] * window.shape[2]
    mean = ops.mean(window, axis=(1, 2), keepdims=True)
    variance = ops.sum(ops.square(window - mean), axis=(1, 2)) / (num_positions - 1)
    return mean[:, 0, 0], ops.sqrt(variance + VARIANCE_EPSILON)


def _windows(size: tuple[int, int], grid: int) -> list[tuple[slice, slice]]:
    """Rows and columns of grid x grid windows, as in `alignment.adaptive_average_pool`."""
    height, width = ([_window(length, i, grid) for i in range(grid)] for length in size)
    return [(rows, columns) for rows in height for columns in width]


def _window(length: int, i: int, num_windows: int) -> slice:
    return slice(i * length // num_windows, -((-(i + 1) * length) // num_windows))


def _sizes(size: tuple[int, int], grid: int) -> list[tuple[int, int]]:
    return [(r.stop - r.start, c.stop - c.start) for r, c in _windows(size, grid)]
