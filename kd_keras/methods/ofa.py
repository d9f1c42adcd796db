"""One for all: the student's stages give logits of their own, which learn from the teacher's.

Loss: g(final logits) + exit_weight * sum over exits of g(logits of the exit), with
g(z) = -((1 + p_t(y))^e - 1) log p(y) - sum over c != y of p_t(c)^e log p(c), p = softmax(z / T) and
e = exponent. So features need not be alike: the teacher may have any architecture. An exit is a
trained branch on one of the student's feature maps: for the deepest a 1x1 convolution, for one
that lies n stages before it n blocks of [depthwise 3x3 of stride 2, 1x1, batch norm, ReLU,
depthwise 3x3, 1x1, batch norm, ReLU]; then the mean over places and a dense layer. Each block
doubles the channels, the last gives exit_width of them.

Source: Hao et al. 2023, "One-for-All: Bridge the Gap Between Heterogeneous Architectures in
Knowledge Distillation", arXiv:2310.19444, section 4, and the authors' code. Defaults: T 1, exponent
1, all weights 1, cross-entropy 1, an exit after each stage. For ImageNet they use exponent 1.5.
Reads the teacher's logits, several feature maps of the student and labels; of labels that are
probabilities, the largest counts. Each example has its own loss. The exits are not deployed.
Without the factor T^2 of kd. Not zero at equality.
"""

from typing import Any, Unpack

import keras
from keras import layers, ops

from kd_keras import check
from kd_keras.methods.base import (
    Batch,
    CommonKnobs,
    ExampleLosses,
    Labels,
    Method,
    Outputs,
    Shapes,
    Tensor,
)
from kd_keras.methods.parts import nontarget, projectors, tap_pairs
from kd_keras.tensor_types import Logits, LossTerms


class OFA(Method):
    """Logits of the student's stages learn from the teacher's logits.

    Args:
        student_taps: feature maps of the student that get an exit, shallow to deep, one of each
            stage; as a sequence, or as text joined by "+".
        temperature: softmax temperature, > 0, no unit.
        exponent: power of the target, >= 1; the teacher's sure answers count more if it is higher.
        exit_weight: factor of the exits' losses, >= 0.
        exit_width: number of channels of the features that an exit's dense layer reads, >= 1; None:
            that of the deepest feature map.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "logits"
    departures = (
        "An exit has the student's width, unless exit_width is set. The authors take the wider one "
        "of student and teacher."
    )
    needs_labels = True
    needs_one_class = True

    def __init__(
        self,
        *,
        student_taps: tap_pairs.Taps = tap_pairs.STAGES,
        temperature: float = 1.0,
        exponent: float = 1.0,
        exit_weight: float = 1.0,
        exit_width: int | None = None,
        **common: Unpack[CommonKnobs],
    ):
        super().__init__(**common)
        self._student_taps = tap_pairs.names(student_taps)
        for tap in self._student_taps:
            check.text("one of student_taps", tap, remedy="Name layers: stage1+stage2.")
        if not self._student_taps:
            raise ValueError(
                f"student_taps is {student_taps!r}; expected one feature map or more. "
                "Leave it out to use stage1+stage2+stage3, or choose kd, which needs none."
            )
        self.temperature = check.number("temperature", temperature, above=0)
        self.exponent = check.number("exponent", exponent, at_least=1)
        self.exit_weight = check.number("exit_weight", exit_weight, at_least=0)
        self.exit_width = (
            None if exit_width is None else check.whole_number("exit_width", exit_width, at_least=1)
        )

    @property
    def student_taps(self) -> tuple[str, ...]:
        return self._student_taps

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        shapes = [student_shape[tap] for tap in self.student_taps]
        for tap, shape in zip(self.student_taps, shapes, strict=True):
            tap_pairs.require_map(self.name, "student", tap, shape)
        width, classes = self.exit_width or shapes[-1][-1], student_shape["logits"][-1]
        self.exits = [
            make_exit(shape, blocks, width, classes, name=f"exit_{i}")
            for i, (shape, blocks) in enumerate(zip(shapes, _countdown(shapes), strict=True))
        ]

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        taps = zip(self.exits, self.student_taps, strict=True)
        logits = [head(student[tap], training=batch.training) for head, tap in taps]
        terms = ofa(
            student["logits"],
            logits,
            teacher["logits"],
            batch.labels,
            temperature=self.temperature,
            exponents=[self.exponent] * (len(logits) + 1),
        )
        return terms["loss_final"] + self.exit_weight * terms["loss_exits"]


def _countdown(shapes: list[Any]) -> range:
    """Number of stages between each map and the deepest."""
    return range(len(shapes) - 1, -1, -1)


def make_exit(
    input_shape: tuple[Any, ...], blocks: int, width: int, num_classes: int, *, name: str
) -> keras.Sequential:
    """A built branch from a feature map to logits.

    Args:
        input_shape: shape of the map, batch axis first.
        blocks: number of blocks that halve the map; 0: a 1x1 convolution in their place.
        width: number of channels before the dense layer.
        num_classes: number of logits.
        name: name of the branch; the names of its layers begin with it.
    """
    block: list[layers.Layer] = []
    channels = input_shape[-1]
    if not blocks:
        block.append(_pointwise(width, f"{name}_convolution", use_bias=True))
    for i in range(blocks):
        next_width = width if i == blocks - 1 else 2 * channels
        for j, (strides, filters) in enumerate(((2, channels), (1, next_width))):
            block += _separable(strides, filters, f"{name}_block_{i}_{j}")
        channels = next_width
    block.append(layers.GlobalAveragePooling2D(dtype="float32", name=f"{name}_pooled"))
    block.append(layers.Dense(num_classes, dtype="float32", name=f"{name}_logits"))
    sequence = keras.Sequential(block, name=name)
    sequence.build((None, *input_shape[1:]))
    return sequence


def _separable(strides: int, filters: int, name: str) -> list[layers.Layer]:
    """Depthwise 3x3 with one row and column of zeros on each side, 1x1, batch norm, ReLU."""
    return [
        layers.ZeroPadding2D(1, dtype="float32", name=f"{name}_padding"),
        layers.DepthwiseConv2D(
            3, strides=strides, use_bias=False, dtype="float32", name=f"{name}_depthwise"
        ),
        _pointwise(filters, f"{name}_pointwise", use_bias=False),
        layers.BatchNormalization(
            epsilon=projectors.BATCH_NORM_EPSILON, dtype="float32", name=f"{name}_norm"
        ),
        layers.ReLU(dtype="float32", name=f"{name}_relu"),
    ]


def _pointwise(filters: int, name: str, *, use_bias: bool) -> layers.Layer:
    return layers.Conv2D(filters, 1, use_bias=use_bias, dtype="float32", name=name)


def ofa(
    student_logits: Logits,
    exit_logits: list[Tensor],
    teacher_logits: Logits,
    labels: Labels,
    *,
    temperature: float,
    exponents: list[float],
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        exit_logits: (B, C) float each, raw scores of the exits.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        labels: (B,) int classes or (B, C) probabilities, whose largest counts.
        temperature: see `OFA`.
        exponents: one for each exit, then one for the final logits.

    Returns:
        `loss_final`: (B,) float32 in nats. `loss_exits`: (B,), the sum over the exits, without
        their weight.
    """
    teacher = ops.stop_gradient(ops.cast(teacher_logits, "float32"))
    p = ops.softmax(teacher / temperature, axis=-1)
    mask = nontarget.target_mask(labels, teacher.shape[-1])

    def loss(logits: Logits, exponent: float) -> Tensor:
        targets = ops.where(mask, ops.power(1 + p, exponent) - 1, ops.power(p, exponent))
        scaled_logits = ops.cast(logits, "float32") / temperature
        return -ops.sum(targets * ops.log_softmax(scaled_logits, axis=-1), axis=-1)

    *exit_exponents, final_exponent = exponents
    exits = [loss(z, e) for z, e in zip(exit_logits, exit_exponents, strict=True)]
    return {"loss_final": loss(student_logits, final_exponent), "loss_exits": sum(exits)}
