"""Embeddings: the student's projected features match a teacher's embedding of the same image.

Loss: 2 - 2 cos(g(s), t), the squared distance of the unit vectors; with `distance=squared`, mean
over all entries of (g(s) - t)^2. g is a trained projector (dense layer twice as wide as s, batch
norm, ReLU, dense layer).

Source: Navaneet et al. 2021, "SimReg: Regression as a Simple Yet Effective Tool for Self-supervised
Knowledge Distillation", arXiv:2201.05131, section 3. Defaults: weight 1 and the cosine, as there;
cross-entropy 1. Reads one vector of each model, and neither labels nor the teacher's logits: the
teacher may be an image tower without a classifier. Each example has its own loss.
"""

from typing import Unpack

from keras import layers, ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import projectors, vectors
from kd_keras.methods.parts.one_tap import OneTap, OneTapKnobs
from kd_keras.tensor_types import LossTerms

DISTANCES = ("cosine", "squared")
#: Name of a teacher's tap that means what the model itself returns.
OUTPUT = "output"


class Embed(OneTap):
    """The teacher's embedding of the image.

    Args:
        distance: "cosine" compares directions; "squared" compares lengths too.
        first_stage: share of the run, 0 to 1, in which labels, and methods without a first stage,
            are not minimised.
        main_stage_weight: factor of the loss after the first stage, >= 0; `weight` multiplies it.
        tap, student_tap, teacher_tap: see `OneTap`; a teacher_tap "output" is what the teacher
            returns, of a model that ends with its embedding.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "label-free"
    supports_multi_label = True
    departures = (
        "The projector has one hidden layer; the paper's best has three. Labels can be learned in "
        "the same run, together with the embedding or after it."
    )
    reads_teacher_logits = False

    def __init__(
        self,
        *,
        distance: str = "cosine",
        first_stage: float = 0.0,
        main_stage_weight: float = 1.0,
        **common: Unpack[OneTapKnobs],
    ):
        super().__init__(**common)
        self.distance = check.one_of("distance", distance, DISTANCES)
        self.first_stage = check.number(
            f"{self.name}: first_stage", first_stage, at_least=0, at_most=1
        )
        self.main_stage_weight = check.number(
            f"{self.name}: main_stage_weight", main_stage_weight, at_least=0
        )

    @property
    def teacher_taps(self) -> tuple[str, ...]:
        tap = self.teacher_tap or self.tap
        return ("logits",) if tap == OUTPUT else (tap,)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        student, teacher = (
            shapes[taps[0]]
            for shapes, taps in (
                (student_shape, self.student_taps),
                (teacher_shape, self.teacher_taps),
            )
        )
        if len(student) != 2 or len(teacher) != 2:
            raise ValueError(
                f"{self.name}: the student's tap {self.student_taps[0]!r} has shape {student}, the "
                f"teacher's {self.teacher_taps[0]!r} has {teacher}; expected two vectors (B, D). "
                "Choose other taps with student_tap= and teacher_tap=, such as pooled."
            )
        hidden_shape = (None, 2 * student[-1])
        self.hidden = layers.Dense(hidden_shape[-1], dtype="float32", name="hidden")
        self.norm = layers.BatchNormalization(
            epsilon=projectors.BATCH_NORM_EPSILON, dtype="float32", name="norm"
        )
        self.last = layers.Dense(teacher[-1], dtype="float32", name="last")
        self.hidden.build(student)
        self.norm.build(hidden_shape)
        self.last.build(hidden_shape)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        if not self.main_stage_weight:
            return ops.zeros(ops.shape(batch.labels)[:1])  # skips a loss of weight 0
        return self.main_stage_weight * self.loss(student, teacher, batch)

    def first_stage_call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        return self.loss(student, teacher, batch)

    def loss(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        """(B,) float32: the method's loss, the same in both stages."""
        hidden_features = self.norm(
            self.hidden(student[self.student_taps[0]]), training=batch.training
        )
        projected = self.last(ops.relu(hidden_features))
        return embed(projected, teacher[self.teacher_taps[0]], distance=self.distance)["loss"]


def embed(projected: Tensor, embedding: Tensor, *, distance: str = "cosine") -> LossTerms:
    """Named parts of the method.

    Args:
        projected: (B, D) float, the student's features after the projector.
        embedding: (B, D) float, the teacher's; no gradient flows back.
        distance: one of `DISTANCES`.

    Returns:
        `loss`: (B,) float32, 0 to 4 for "cosine". A vector of zeros has the direction 0, at a
        distance of 1 from any other.
    """
    embedding = ops.stop_gradient(ops.cast(embedding, "float32"))
    projected = ops.cast(projected, "float32")
    if distance == "cosine":
        difference = vectors.unit(projected) - vectors.unit(embedding)
        return {"loss": ops.sum(ops.square(difference), axis=-1)}
    return {"loss": ops.mean(ops.square(projected - embedding), axis=-1)}
