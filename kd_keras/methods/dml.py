"""Deep mutual learning: the student and a peer start untrained and teach each other.

Cost: KL(peer || student) for the student; KL(student || peer) and the peer's cross-entropy for the
peer; each of the two is constant in the other's divergence. Softmaxes at temperature 1.

Source: Zhang et al. 2018, "Deep Mutual Learning", arXiv:1706.00384, section 2; weights 1 as there.
One peer. Departure: both take the same step, instead of the one after the other. Needs no teacher
and no taps; works per example. The peer costs what the student costs, in time and memory; it is
saved with the Distiller and left out of what is deployed.
"""

from typing import Any

import keras

from kd_keras import heads, losses
from kd_keras import taps as tapping
from kd_keras.methods.base import Batch, Method, Outputs, Shapes, Tensor


class DML(Method):
    """Mutual learning with a peer that trains along.

    Args:
        peer: classifier of the student's inputs and classes, giving logits, trained in place; None
            makes one of the student's architecture with weights of its own.
        weight, ce_weight, warmup, name: see `Method`.
    """

    teacher_free = True

    def __init__(
        self,
        *,
        peer: keras.Model | None = None,
        weight: float = 1.0,
        ce_weight: float = 1.0,
        warmup: float = 0.0,
        name: str | None = None,
    ):
        super().__init__(weight=weight, ce_weight=ce_weight, warmup=warmup, name=name)
        self.peer: Any = peer

    def build_for(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        """Keeps the shapes only: Keras takes no new part, such as a peer, once `build` has run."""
        self._shapes = {"student_shape": student_shape, "teacher_shape": teacher_shape}

    def attach(self, student: keras.Model, teacher: keras.Model | None) -> None:
        if self.peer is None:
            self.peer = keras.models.clone_model(student)
        if self.peer is student:
            raise ValueError(
                "dml: the peer is the student itself; expected another model. Give another, or "
                "None for one of the student's architecture."
            )
        heads.check_student(self.peer)
        classes, expected = (_classes(model) for model in (self.peer, student))
        if classes != expected:
            raise ValueError(
                f"dml: the peer has {classes} classes and the student {expected}; expected the "
                "same. Give both models the same number of outputs."
            )
        self.built = True

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> Tensor:
        if batch.inputs is None:
            raise ValueError(
                "dml: the batch has no inputs; expected those of the student, which the peer is "
                "given too. Set Batch(inputs=...)."
            )
        logits = _logits(self.peer(batch.inputs, training=batch.training))
        return dml(student["logits"], logits, batch.labels)["loss"] + sum(self.peer.losses)

    def get_config(self) -> dict[str, Any]:
        peer = keras.saving.serialize_keras_object(self.peer) if self.peer else None
        return {**super().get_config(), "peer": peer}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DML":
        peer = keras.saving.deserialize_keras_object(config["peer"]) if config["peer"] else None
        return cls(**{**config, "peer": peer})


def dml(student_logits: Tensor, peer_logits: Tensor, labels: Tensor) -> dict[str, Any]:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        peer_logits: (B, C) float, raw scores; trained too.
        labels: (B,) int classes or (B, C) probabilities.

    Returns:
        `loss`: (B,) float32 in nats, sum of its parts: `loss_student`, KL(peer || student), whose
        gradient reaches the student only; `loss_peer`, KL(student || peer), the peer only;
        `loss_peer_ce`, the peer's cross-entropy.
    """
    parts = {
        "loss_student": losses.softened_kl(student_logits, peer_logits, temperature=1.0),
        "loss_peer": losses.softened_kl(peer_logits, student_logits, temperature=1.0),
        "loss_peer_ce": losses.cross_entropy(labels, peer_logits),
    }
    return {"loss": sum(parts.values()), **parts}


def _logits(outputs: Any) -> Tensor:
    return outputs[tapping.LOGITS] if isinstance(outputs, dict) else outputs


def _classes(model: keras.Model) -> int:
    return _logits(model.output_shape)[-1]
