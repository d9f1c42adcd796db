"""Relational distillation: distances and angles between examples match those of the teacher.

Loss: distance_weight * mean over pairs of h(d_s, d_t) + angle_weight * mean over triples of
h(cos_s, cos_t). d is the Euclidean distance divided by the batch's mean distance, cos the cosine at
example k between i and j, h the Huber loss with its switch at 1.

Source: Park et al. 2019, "Relational Knowledge Distillation", arXiv:1904.05068, section 3.2.
Defaults of the paper: weights 25 and 50. Reads one feature of each model, `pooled` by default;
sizes may differ. No trained parts. The loss belongs to the whole batch. The B^3 cosines are
computed for one example k at a time, forwards and backwards, so memory grows with B^2 only. Time
grows with B^3.
"""

from typing import Unpack

import keras
from keras import ops

from kd_keras import check
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import tap_pairs, vectors
from kd_keras.methods.parts.one_tap import OneTap, OneTapKnobs
from kd_keras.tensor_types import LossTerms

SMALLEST_SQUARED_DISTANCE = 1e-12  # of two examples, as in the reference implementations


class RKD(OneTap):
    """Relations among the batch's examples.

    Args:
        distance_weight, angle_weight: factors of the two losses, >= 0.
        squared: whether to compare squared distances.
        tap, student_tap, teacher_tap: see `OneTap`.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "relations"
    supports_multi_label = True
    needs_whole_batch = True

    def __init__(
        self,
        *,
        distance_weight: float = 25.0,
        angle_weight: float = 50.0,
        squared: bool = False,
        **common: Unpack[OneTapKnobs],
    ):
        super().__init__(**common)
        self.distance_weight = check.number("distance_weight", distance_weight, at_least=0)
        self.angle_weight = check.number("angle_weight", angle_weight, at_least=0)
        self.squared = check.one_of("squared", squared, (True, False))

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        tap_pairs.require_known_all(self, student_shape, teacher_shape)

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        features = student[self.student_taps[0]]
        loss = rkd(
            features,
            teacher[self.teacher_taps[0]],
            distance_weight=self.distance_weight,
            angle_weight=self.angle_weight,
            squared=self.squared,
        )["loss"]
        return ops.broadcast_to(loss, ops.shape(features)[:1])


def rkd(
    student_features: Tensor,
    teacher_features: Tensor,
    *,
    distance_weight: float = 25.0,
    angle_weight: float = 50.0,
    squared: bool = False,
    smallest: float = SMALLEST_SQUARED_DISTANCE,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_features: (B, ...) float.
        teacher_features: (B, ...) float; no gradient flows back.
        distance_weight, angle_weight: factors of the two parts in `loss`.
        squared: whether to compare squared distances.
        smallest: lower limit of the squared distance of two examples.

    Returns:
        `loss`, and without their factors `loss_distance` and `loss_angle`: scalars, float32.
        0 for a batch of one.
    """
    student = _differences(student_features)
    teacher = _differences(ops.stop_gradient(teacher_features))
    distances = (_distances(d, squared=squared, smallest=smallest) for d in (student, teacher))
    terms = {
        "loss_distance": ops.mean(_huber(*distances)),
        "loss_angle": ops.mean(_angle_losses(student, teacher)),
    }
    loss = distance_weight * terms["loss_distance"] + angle_weight * terms["loss_angle"]
    return {"loss": loss, **terms}


def _differences(features: Tensor) -> Tensor:
    """(B, ...) features to (B, B, D): entry [k, i] is x_i - x_k."""
    features = vectors.flat(features)
    return features[None] - features[:, None]


def _distances(differences: Tensor, *, squared: bool, smallest: float) -> Tensor:
    """(B, B) distances divided by the mean of those above 0, which has gradients too."""
    distances = ops.maximum(ops.sum(ops.square(differences), axis=-1), smallest)
    if not squared:
        distances = ops.sqrt(distances)
    # An example's distance to itself is 0 and not in the mean; ops.eye needs a static size.
    indices = ops.arange(ops.shape(distances)[0])
    distances = ops.where(indices[:, None] == indices[None], 0.0, distances)
    num_pairs = ops.sum(ops.cast(distances > 0, "float32"))
    mean = ops.sum(distances) / ops.maximum(num_pairs, 1.0)
    return distances / ops.where(mean > 0, mean, 1.0)


def _angle_losses(student: Tensor, teacher: Tensor) -> Tensor:
    """(B, B, D) differences of each model to (B,): the mean loss of the angles at example k."""
    # Stored for the backward pass, the cosines of all k would take 4 GB at a batch of 1024.
    at_one_example = keras.remat(_angle_loss)
    return ops.map(lambda pair: at_one_example(*pair), (student, teacher))


def _angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """(B, D) differences to one example: the mean over the pairs of them, a scalar."""
    return ops.mean(_huber(_cosines(student), _cosines(teacher)))


def _cosines(differences: Tensor) -> Tensor:
    """(B, D) to the (B, B) cosines between them, 0 with a zero vector."""
    directions = vectors.unit(differences)
    return ops.matmul(directions, ops.transpose(directions))


def _huber(first: Tensor, second: Tensor) -> Tensor:
    size = ops.abs(first - second)
    return ops.where(size < 1, 0.5 * ops.square(size), size - 0.5)
