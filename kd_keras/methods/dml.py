"""Deep mutual learning: the student and its peers start untrained and teach each other.

Loss: for the student and for each peer, the mean over all the others of KL(other || own), plus each
peer's cross-entropy. No gradient flows to `other`. Softmaxes are at temperature 1.

Source: Zhang et al. 2018, "Deep Mutual Learning", arXiv:1706.00384, section 2.2 and, for several
peers, section 2.3. Defaults of the paper: one peer, weights 1. Needs no teacher and no taps, but
labels. Each example has its own loss. Each peer takes as much time and memory as the student. Peers
are saved with the Distiller and are not part of the deployed model. Their regularisers are added to
the loss once, as the student's are: `weight` and sample weights do not multiply them.
"""

from collections.abc import Sequence
from typing import Any, Unpack

import keras
import numpy as np

from kd_keras import check, losses
from kd_keras.graph import heads, last_activation, taps
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
from kd_keras.tensor_types import Logits, LossTerms


class DML(Method):
    """Mutual learning with peers that are trained together with the student.

    Args:
        peers: number of peers, >= 1, each of the student's architecture with its own weights; or
            the models themselves, which are trained: classifiers with the student's inputs and
            classes that return logits.
        weight, ce_weight, warmup, name: see `Method`.

    Raises:
        ValueError: a knob is out of range; in `call`, the batch has no inputs.
    """

    family = "online"
    departures = "All models are updated in the same step, not one after the other."
    needs_labels = True
    teacher_free = True

    def __init__(self, *, peers: int | Sequence[keras.Model] = 1, **common: Unpack[CommonKnobs]):
        super().__init__(**common)
        self.peers: Any = _models(peers)

    def build_for(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        """Only stores the shapes: after `build` Keras accepts no new part, such as a peer."""
        self._shapes = {"student_shape": student_shape, "teacher_shape": teacher_shape}

    def attach(self, student: keras.Model, teacher: keras.Model | None) -> None:
        if isinstance(self.peers, int):
            self.peers = [_with_logits(make_peer(student)) for _ in range(self.peers)]
        for peer in self.peers:
            _require_fits(peer, student)
        self.built = True

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        if batch.inputs is None:
            raise ValueError(
                "dml: the batch has no inputs; expected the student's inputs, which the peers "
                "read too. Set Batch(inputs=...)."
            )
        outputs = [peer(batch.inputs, training=batch.training) for peer in self.peers]
        logits = [taps.logits_of(peer_outputs) for peer_outputs in outputs]
        return dml(student["logits"], logits, batch.labels)["loss"]

    def get_config(self) -> dict[str, Any]:
        peers = self.peers
        if not isinstance(peers, int):
            peers = [keras.saving.serialize_keras_object(peer) for peer in peers]
        return {**super().get_config(), "peers": peers}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DML":
        peers = config["peers"]
        if not isinstance(peers, int):
            peers = [keras.saving.deserialize_keras_object(peer) for peer in peers]
        return cls(**{**config, "peers": peers})


def dml(student_logits: Logits, peer_logits: Sequence[Tensor], labels: Labels) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        peer_logits: raw scores of each peer, (B, C) float; the peers are trained too.
        labels: (B,) int classes or (B, C) probabilities.

    Returns:
        `loss`: (B,) float32 in nats, sum of its parts: `loss_student`, the mean over the peers of
        KL(peer || student), whose gradient reaches the student only; `loss_peer`, the same of each
        peer with all the others, summed over the peers; `loss_peer_ce`, their cross-entropies.
    """
    all_logits = [student_logits, *peer_logits]
    example_losses = [
        _from_others(student_index, all_logits) for student_index in range(len(all_logits))
    ]
    terms = {
        "loss_student": example_losses[0],
        "loss_peer": sum(example_losses[1:]),
        "loss_peer_ce": sum(losses.cross_entropy(labels, logits) for logits in peer_logits),
    }
    return {"loss": sum(terms.values()), **terms}


def make_peer(student: keras.Model) -> keras.Model:
    """A model of the student's architecture with weights of its own.

    Raises:
        ValueError: Keras cannot make one, or it would start with the student's weights.
    """
    try:
        peer = keras.models.clone_model(student)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"dml: Keras cannot copy the student {student.name!r}, a {type(student).__name__}; "
            "expected a Functional or Sequential model, or one whose get_config() returns its "
            "arguments. Give peers=[another model]."
        ) from error
    values = list(zip(peer.trainable_variables, student.trainable_variables, strict=False))
    if values and all(_have_one_start(*pair) for pair in values):
        raise ValueError(
            f"dml: a copy of the student {student.name!r} starts from the same weights, since its "
            "initializers have seeds; expected different weights, since equal models teach each "
            "other nothing. Remove the seeds, or give peers=[another model]."
        )
    if values and not _computes_the_same(student, peer):
        raise ValueError(
            f"dml: a copy of the student {student.name!r} computes something else, since the "
            "get_config() of one of its layers lacks an argument; expected all arguments. Add the "
            "argument, or give peers=[another model]."
        )
    return peer


def _with_logits(peer: keras.Model) -> keras.Model:
    """The peer without the softmax at its end, if it has one that can be left out."""
    if last_activation.softmax(peer) is None:
        return peer
    return last_activation.remove(peer) or peer


def _models(peers: Any) -> Any:
    """A number of peers or a list of them; raises ValueError for anything else."""
    peer_list = [peers] if isinstance(peers, keras.Model) else peers
    if isinstance(peer_list, (list, tuple)):
        if not peer_list or not all(isinstance(peer, keras.Model) for peer in peer_list):
            raise ValueError(
                f"peers is {peer_list!r}; expected Keras models, at least one. Give a whole "
                "number for models of the student's architecture."
            )
        return list(peer_list)
    return check.whole_number("peers", peers, at_least=1, remedy="Or give a list of models.")


def _require_fits(peer: keras.Model, student: keras.Model) -> None:
    if peer is student:
        raise ValueError(
            "dml: the peer is the student itself; expected another model. Give another, or a "
            "number for models of the student's architecture."
        )
    heads.check_student(peer, what="dml: the peer")
    classes, student_classes = (taps.output_shapes(m)[taps.LOGITS][-1] for m in (peer, student))
    if classes != student_classes:
        raise ValueError(
            f"dml: the peer has {classes} classes and the student {student_classes}; expected the "
            "same. Give both models the same number of outputs."
        )
    if taps.is_graph(student):
        # A Sequential model that was never called on a Keras tensor has no `input`.
        single = isinstance(student, keras.Sequential)
        try:
            peer.compute_output_spec(student.inputs[0] if single else student.input)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"dml: the peer {peer.name!r} does not take the student's inputs ({error}); "
                "expected a model of the same inputs. Give another."
            ) from error


def _computes_the_same(student: keras.Model, peer: keras.Model) -> bool:
    """Whether the peer has the student's scores when it has the student's weights."""
    start = peer.get_weights()
    if [w.shape for w in start] != [w.shape for w in student.get_weights()]:
        return False
    student_scores = _scores_of_noise(student)
    peer.set_weights(student.get_weights())
    scores = _scores_of_noise(peer)
    peer.set_weights(start)
    return np.allclose(student_scores, scores, rtol=1e-4, atol=1e-6 * np.abs(student_scores).max())


def _scores_of_noise(model: keras.Model) -> np.ndarray:
    """Scores of numbers from 0 to 1, the same ones each time."""
    rng = np.random.default_rng(0)
    scores = taps.logits_of(taps.run(model, rng.random))
    return np.asarray(keras.ops.convert_to_numpy(scores))


def _have_one_start(first: Any, second: Any) -> bool:
    return np.array_equal(*(keras.ops.convert_to_numpy(variable) for variable in (first, second)))


def _from_others(student_index: int, all_logits: Sequence[Tensor]) -> Tensor:
    """(B,): what the model at `student_index` learns: mean of KL(other || own) over the others."""
    other_logits = [logits for i, logits in enumerate(all_logits) if i != student_index]
    divergences = [
        losses.softened_kl(all_logits[student_index], o, temperature=1.0) for o in other_logits
    ]
    return sum(divergences) / len(other_logits)
