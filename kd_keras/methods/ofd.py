"""Feature distillation overhauled: matches features before the ReLU where they affect its output.

Loss: sum over taps of 2^-(number of later taps) * sum over an example's entries of (c(s) - m(t))^2,
without the entries where both c(s) < m(t) and t <= 0. m(t) = max(t, margin). A channel's margin is
the mean of its values below zero, computed from the teacher's batch norm. c is a trained
convolution with batch norm. The teacher's map is average-pooled to the student's size.

Source: Heo et al. 2019, "A Comprehensive Overhaul of Feature Distillation", arXiv:1904.01866,
section 3. Defaults: weight 0.001 and 1x1 convolutions, as in mdistiller. Reads several feature maps
of each model, before their ReLU. The teacher's must be the output of a batch norm, or a sum whose
main branch ends in one. Each example has its own loss.
"""

import math
from collections.abc import Sequence
from typing import Any, Unpack

import keras
import numpy as np
from keras import layers, ops

from kd_keras import check
from kd_keras.graph import taps
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import alignment, connectors
from kd_keras.methods.parts.tap_pairs import TapPairs, TapPairsKnobs
from kd_keras.tensor_types import LossTerms

RAREST_NEGATIVE = 0.001  # if fewer values are below zero, the margin is -3 deviations


class OFD(TapPairs):
    """Margins of the teacher's features before the ReLU.

    Args:
        taps, student_taps, teacher_taps: feature maps before the ReLU, see `TapPairs`.
        kernel_size: kernel size of the student's trained convolutions, >= 1.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "features"
    supports_multi_label = True
    default_taps = ("stage1_preact", "stage2_preact", "stage3_preact")
    default_weight = 0.001

    needs_teacher_model = True

    def __init__(self, *, kernel_size: int = 1, **common: Unpack[TapPairsKnobs]):
        super().__init__(**common)
        self.kernel_size = check.whole_number("kernel_size", kernel_size, at_least=1, at_most=31)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        self.connectors, self.margins = [], []
        for i, (student, teacher) in enumerate(self.map_shapes(student_shape, teacher_shape)):
            self.connectors.append(
                connectors.connector(
                    student, teacher[-1], kernel_size=self.kernel_size, name=f"connector_{i}"
                )
            )
            self.margins.append(
                self.add_weight(
                    shape=(teacher[-1],), initializer="zeros", trainable=False, name=f"margin_{i}"
                )
            )

    def attach(self, student: keras.Model, teacher: keras.Model | None) -> None:
        if teacher is None:
            return
        for margin, tap in zip(self.margins, self.teacher_taps, strict=True):
            norm = batch_norm_before(teacher, tap)
            gamma = ops.convert_to_numpy(norm.gamma) if norm.scale else np.ones(margin.shape)
            beta = ops.convert_to_numpy(norm.beta) if norm.center else np.zeros(margin.shape)
            margin.assign(margin_of(gamma, beta))

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        connected_maps = [
            connect(student[tap], training=batch.training)
            for connect, tap in zip(self.connectors, self.student_taps, strict=True)
        ]
        features = [teacher[tap] for tap in self.teacher_taps]
        return ofd(connected_maps, features, [ops.convert_to_tensor(m) for m in self.margins])[
            "loss"
        ]


def ofd(
    connected: Sequence[Tensor], teacher_features: Sequence[Tensor], margins: Sequence[Tensor]
) -> LossTerms:
    """Named parts of the method.

    Args:
        connected: (B, h, w, C) float maps, the student's after the connectors, shallow to deep.
        teacher_features: (B, H, W, C) float maps before the ReLU; no gradient flows back.
        margins: (C,) float, at most 0.

    Returns:
        `loss`: (B,) float32, summed over entries and, weighted, over taps.
    """
    losses = [
        _partial_distance(*maps) for maps in zip(connected, teacher_features, margins, strict=True)
    ]
    last = len(losses) - 1
    return {"loss": sum(loss / 2 ** (last - i) for i, loss in enumerate(losses))}


def _partial_distance(student: Tensor, teacher: Tensor, margin: Tensor) -> Tensor:
    student = ops.cast(student, "float32")
    teacher = ops.stop_gradient(ops.cast(teacher, "float32"))
    teacher = alignment.adaptive_average_pool(teacher, tuple(student.shape[1:3]))
    target = ops.maximum(teacher, margin)
    is_compared = ops.cast(ops.logical_or(student > target, teacher > 0), "float32")
    return ops.sum(ops.square(student - target) * is_compared, axis=(1, 2, 3))


def margin_of(gamma: Any, beta: Any) -> np.ndarray:
    """(C,) float32: for each channel the mean of the part of N(beta, gamma^2) below zero.

    If less than a thousandth is below zero: -3 * |gamma|.

    Args:
        gamma, beta: (C,) scale and shift of a batch norm.
    """
    deviation, mean = np.abs(np.asarray(gamma, "float64")), np.asarray(beta, "float64")
    # A channel of deviation 0 has one value: all of it is below zero, or nothing.
    ratio = np.where(mean < 0, -np.inf, np.inf)
    np.divide(mean, deviation, out=ratio, where=deviation > 0)
    share_below = np.array([math.erfc(r / math.sqrt(2)) / 2 for r in ratio])
    density = np.exp(-np.square(ratio) / 2) / math.sqrt(2 * math.pi)
    mean_below = mean - deviation * density / np.maximum(share_below, RAREST_NEGATIVE)
    return np.asarray(
        np.where(share_below > RAREST_NEGATIVE, mean_below, -3 * deviation), "float32"
    )


def batch_norm_before(model: keras.Model, tap: str) -> layers.BatchNormalization:
    """The batch norm whose output is the tap, or that ends the main branch of the tap's sum.

    Args:
        model: the teacher.
        tap: name of its feature before a ReLU.

    Raises:
        ValueError: the tap is not the output of either.
    """
    if not taps.is_graph(model):
        raise ValueError(
            f"ofd: the teacher {model.name!r} is a {type(model).__name__}; expected a Functional "
            "or Sequential model, whose batch norms give the margins. Choose another teacher."
        )
    tensor = taps.tapped_model(model, [tap]).output[tap]
    operation = tensor._keras_history.operation
    ends = _inputs(tensor) if isinstance(operation, layers.Add) else [tensor]
    norms = [e for e in ends if _is_batch_norm(e._keras_history.operation)]
    if not norms:
        raise ValueError(
            f"ofd: the teacher's tap {tap!r} is the output of a {type(operation).__name__}; "
            "expected a batch norm, or a sum whose main branch ends in one, for its margins. "
            "Choose the taps before the ReLU (teacher_taps=stage1_preact+...), or another teacher."
        )
    # A shortcut with a batch norm of its own has less before it than the main branch.
    return max(norms, key=lambda end: len(_upstream(end)))._keras_history.operation


def _is_batch_norm(operation: Any) -> bool:
    return isinstance(operation, layers.BatchNormalization)


def _inputs(tensor: Tensor) -> list[Tensor]:
    operation, node_index, _ = tensor._keras_history
    return list(operation._inbound_nodes[node_index].input_tensors)


def _upstream(tensor: Tensor) -> set[int]:
    """Ids of all operations that the tensor comes from."""
    operation_ids: set[int] = set()
    pending_tensors = [tensor]
    while pending_tensors:
        tensor = pending_tensors.pop()
        if id(tensor._keras_history.operation) not in operation_ids:
            operation_ids.add(id(tensor._keras_history.operation))
            pending_tensors.extend(_inputs(tensor))
    return operation_ids
