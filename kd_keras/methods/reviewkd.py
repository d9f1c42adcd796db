"""Knowledge review: each stage of the teacher teaches the student's same and earlier stages.

The taps are processed from the deepest to the shallowest. The student's map passes through a 1x1
convolution, is mixed with the mixture of the deeper taps by two learned attention maps (`Fusion`),
and gets the teacher's shape by a 3x3 convolution. Loss: sum over taps of the mean squared
difference at full size and after average pooling to 4x4, 2x2 and 1x1, with weights 1, 1/2, 1/4, 1/8
divided by their sum. Sizes that are not smaller than the map are left out.

Source: Chen et al. 2021, "Distilling Knowledge via Knowledge Review", arXiv:2104.09044,
section 3. Defaults as in mdistiller: at most 512 channels inside, weight 1 (the paper uses 0.6 to
8, by pair of models) over a warm-up of 20 of 240 epochs. Reads the student's stages after their
ReLU, the teacher's stages before it, and the pooled vector of both. Each example has its own
loss.
"""

from collections.abc import Sequence
from typing import Any, Unpack

import keras
import numpy as np
from keras import layers, ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import alignment, connectors, tap_pairs
from kd_keras.tensor_types import LossTerms

LEVELS = (4, 2, 1)


class ReviewKD(tap_pairs.TapPairs):
    """Review of the student's stages by the teacher's, with attention-based fusion.

    Args:
        max_channels: upper limit of the number of channels inside, which is otherwise that of the
            student's deepest tap.
        taps, student_taps, teacher_taps: see `TapPairs`; maps, or vectors, which count as 1x1 maps.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "features"
    supports_multi_label = True
    default_taps = (*tap_pairs.STAGES, "pooled")
    default_teacher_taps = ("stage1_preact", "stage2_preact", "stage3_preact", "pooled")
    default_warmup = 1 / 12

    def __init__(self, *, max_channels: int = 512, **common: Unpack[tap_pairs.TapPairsKnobs]):
        super().__init__(**common)
        self.max_channels = check.whole_number(
            "max_channels", max_channels, at_least=1, at_most=65_536
        )

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        student = {tap: tap_pairs.as_map_shape(shape) for tap, shape in student_shape.items()}
        teacher = {tap: tap_pairs.as_map_shape(shape) for tap, shape in teacher_shape.items()}
        pairs = self.map_shapes(student, teacher)[::-1]
        channels = min(self.max_channels, pairs[0][0][-1])
        self.fusions = []
        for i, (student_map, teacher_map) in enumerate(pairs):
            fusion = Fusion(teacher_map[1:], channels=channels, mixes=i > 0, name=f"fusion_{i}")
            fusion.build((None, *student_map[1:]))
            self.fusions.append(fusion)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        deeper_mixture, fused_maps = None, []
        for fusion, tap in zip(self.fusions, self.student_taps[::-1], strict=True):
            features = tap_pairs.as_map(student[tap])
            result, deeper_mixture = fusion(features, deeper_mixture, training=batch.training)
            fused_maps.append(result)
        teacher_maps = [tap_pairs.as_map(teacher[tap]) for tap in self.teacher_taps[::-1]]
        return reviewkd(fused_maps, teacher_maps)["loss"]


@keras.saving.register_keras_serializable(package="kd_keras")
class Fusion(keras.Layer):
    """Mixes a student's map with what the deeper ones gave, and brings it to a teacher's shape.

    Args:
        target: (H, W, C) of the teacher's map.
        channels: number of channels of the mixture.
        mixes: whether there is a deeper map; the deepest tap has none.
    """

    def __init__(self, target: Sequence[int], *, channels: int, mixes: bool, **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)
        self.target: tuple[int, ...] = tuple(target)
        self.channels = channels
        self.mixes = mixes

    def build(self, input_shape: tuple[Any, ...]) -> None:
        # Bounded by sqrt(3 / inputs), as the reference implementation's.
        initializer = keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")
        mixed_shape = (*input_shape[:-1], self.channels)
        self.reduce = connectors.connector(
            input_shape, self.channels, initializer=initializer, name="reduce"
        )
        self.expand = connectors.connector(
            mixed_shape, self.target[-1], kernel_size=3, initializer=initializer, name="expand"
        )
        if self.mixes:
            self.attention = layers.Conv2D(
                2, 1, activation="sigmoid", dtype="float32", name="attention"
            )
            self.attention.build((*input_shape[:-1], 2 * self.channels))

    def call(
        self, features: Tensor, deeper: Tensor | None = None, training: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Returns the map in the teacher's shape, and the mixture for the next shallower one."""
        mixture = self.reduce(features, training=training)
        if self.mixes:
            deeper = nearest(deeper, tuple(mixture.shape[1:3]))
            shares = self.attention(ops.concatenate([mixture, deeper], axis=-1))  # (B, h, w, 2)
            mixture = mixture * shares[..., :1] + deeper * shares[..., 1:]
        mixture = nearest(mixture, self.target[:2])
        return self.expand(mixture, training=training), mixture

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "target": self.target,
            "channels": self.channels,
            "mixes": self.mixes,
        }


def reviewkd(
    fused: Sequence[Tensor], teacher_features: Sequence[Tensor], *, levels: Sequence[int] = LEVELS
) -> LossTerms:
    """Named parts of the method: hierarchical context loss.

    Args:
        fused: (B, H, W, C) float maps, the student's after fusion.
        teacher_features: maps of the same shapes, pair by pair; no gradient flows back.
        levels: sizes that the maps are pooled to; each one used weighs half of the one before.

    Returns:
        `loss`: (B,) float32, sum over the pairs.
    """
    pairs = zip(fused, teacher_features, strict=True)
    return {"loss": sum(_context_loss(student, teacher, levels) for student, teacher in pairs)}


def _context_loss(student: Tensor, teacher: Tensor, levels: Sequence[int]) -> Tensor:
    # Pooling is linear, so the difference is pooled instead of both maps.
    difference = ops.cast(student, "float32") - ops.stop_gradient(ops.cast(teacher, "float32"))
    loss, weight, total = _mean_square(difference), 1.0, 1.0
    for level in levels:
        if level < difference.shape[1]:
            weight /= 2
            total += weight
            pooled_difference = alignment.adaptive_average_pool(difference, (level, level))
            loss = loss + weight * _mean_square(pooled_difference)
    return loss / total


def _mean_square(difference: Tensor) -> Tensor:
    return ops.mean(ops.square(difference), axis=(1, 2, 3))


def nearest(features: Tensor, size: Sequence[int]) -> Tensor:
    """Resizes (B, h, w, C) maps to (B, *size, C): row i is the source's row floor(i * h / H).

    Args:
        features: (B, h, w, C) float.
        size: height and width of the result.
    """
    pairs = zip(features.shape[1:3], size, strict=True)
    for axis, (old_size, new_size) in enumerate(pairs, start=1):
        if old_size != new_size:
            features = ops.take(features, np.arange(new_size) * old_size // new_size, axis=axis)
    return features
