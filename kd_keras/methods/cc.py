"""Correlation congruence: penalises neighbours in a batch that both differ from the teacher.

Loss: mean over the B - 1 pairs of neighbours (n, n + 1) of sum_j d[n, j] * d[n + 1, j], with
d = |e_s(student) - e_t(teacher)|. e_s and e_t are trained linear embeddings into one space.

Source: Peng et al. 2019, "Correlation Congruence for Knowledge Distillation", arXiv:1904.01802.
Defaults: weight 0.02 and 128 dimensions, as in later comparisons of the method. Reads one feature
of each model, `pooled` by default. The loss belongs to the whole batch and depends on the order of
its examples. The teacher's embedding is trained too, as in those comparisons, so nothing stops both
embeddings from shrinking.
"""

import math
from typing import Any, Unpack

from keras import layers, ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import tap_pairs, vectors
from kd_keras.methods.parts.one_tap import OneTap, OneTapKnobs
from kd_keras.tensor_types import LossTerms


class CC(OneTap):
    """Correlation of neighbours' deviations from the teacher.

    Args:
        embedding_size: entries of the two embeddings, >= 1; None compares the features themselves,
            which then need equal widths.
        tap, student_tap, teacher_tap: see `OneTap`.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "relations"
    supports_multi_label = True
    departures = (
        "The paper's correlation is a Gaussian kernel. This is the form of later comparisons "
        "of the method."
    )
    default_weight = 0.02

    old_knobs = (("dimensions", "embedding_size"),)
    needs_whole_batch = True

    def __init__(self, *, embedding_size: int | None = 128, **common: Unpack[OneTapKnobs]):
        super().__init__(**common)
        if embedding_size is not None:
            check.whole_number("embedding_size", embedding_size, at_least=1, at_most=65_536)
        self.embedding_size = embedding_size

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        tap_pairs.require_known_all(self, student_shape, teacher_shape)
        student = _width(student_shape[self.student_taps[0]])
        teacher = _width(teacher_shape[self.teacher_taps[0]])
        if self.embedding_size is not None:
            self.student_embedding = layers.Dense(self.embedding_size, dtype="float32")
            self.student_embedding.build((None, student))
            self.teacher_embedding = layers.Dense(self.embedding_size, dtype="float32")
            self.teacher_embedding.build((None, teacher))
        elif student != teacher:
            raise ValueError(
                f"{self.name}: without embeddings (embedding_size=None) the student's tap "
                f"{self.student_taps[0]!r} has {student} values and the teacher's "
                f"{self.teacher_taps[0]!r} has {teacher}; expected equal numbers. "
                "Give embedding_size=."
            )

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        student_values = vectors.flat(student[self.student_taps[0]])
        teacher_values = ops.stop_gradient(vectors.flat(teacher[self.teacher_taps[0]]))
        if self.embedding_size is not None:
            student_values = self.student_embedding(student_values)
            teacher_values = self.teacher_embedding(teacher_values)
        loss = cc(student_values, teacher_values)["loss"]
        return ops.broadcast_to(loss, ops.shape(student_values)[:1])


def cc(student_embedding: Tensor, teacher_embedding: Tensor) -> LossTerms:
    """Named parts of the method.

    Args:
        student_embedding: (B, D) float.
        teacher_embedding: (B, D) float; gradients flow to it, for it may be trained.

    Returns:
        `loss`: scalar float32; 0 for a batch of one, which has no neighbours.
    """
    student_embedding = ops.cast(student_embedding, "float32")
    teacher_embedding = ops.cast(teacher_embedding, "float32")
    distance = vectors.magnitude(student_embedding - teacher_embedding)
    products = ops.sum(distance[:-1] * distance[1:], axis=-1)
    pairs = ops.cast(ops.shape(distance)[0] - 1, "float32")
    return {"loss": ops.sum(products) / ops.maximum(pairs, 1.0)}


def _width(shape: tuple[Any, ...]) -> int:
    return math.prod(shape[1:])
