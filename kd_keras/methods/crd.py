"""Contrastive representation: tells the student's vector of an example from those of others.

Both features pass through a trained dense layer and become unit vectors v. Two memories hold the
latest vector of every example. Let P = exp(memory_teacher . v_s / T) / Z for the example's own row
and for K other rows drawn at random, q = K / num_examples and e = 1e-7. Loss: -log(P / (P + q + e))
of the own row, minus the sum of log(q / (P + q + e)) over the other rows; the same with teacher and
student exchanged is added. Z is num_examples times the mean exponential, fixed in the first step.

Source: Tian, Krishnan, Isola 2020, "Contrastive Representation Distillation", arXiv:1910.10699,
section 3.3. Defaults of the paper: K 16384, T 0.07, 128 entries per vector, memory momentum 0.5,
weight 0.8. Reads `pooled` of each model. Needs each example's id and the number of examples. The
loss belongs to the whole batch. The memories are two float32 arrays (num_examples, 128); a step
makes two arrays (batch, num_examples).
"""

import math
from typing import Any, Unpack

import keras
import numpy as np
from keras import layers, ops

from kd_keras import check
from kd_keras.graph.untracked import Untracked
from kd_keras.methods.base import Batch, ExampleLosses, Outputs, Shapes, Tensor
from kd_keras.methods.parts import vectors
from kd_keras.methods.parts.one_tap import OneTap, OneTapKnobs
from kd_keras.tensor_types import LossTerms

NOISE_FLOOR = 1e-7  # e above
NOT_FIXED = math.inf  # log Z before the first step


class CRD(OneTap):
    """Contrast of each example with others, whose vectors are in memories.

    Args:
        num_examples: number of training examples, whose ids are 0 to num_examples - 1; required.
        tap, student_tap, teacher_tap: vectors (B, D).
        negatives: K, whole number >= 1, number of other examples in the contrast.
        temperature: T, > 0.
        embedding_size: entries of a vector, >= 1.
        momentum: share of the old vector, 0 to 1, when the memories are updated.
        seed: seed of the random draws and of the memories' first values, >= 0.
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "relations"
    supports_multi_label = True
    departures = (
        "The other examples are drawn from all examples but the same one, not only from other "
        "classes."
    )
    default_weight = 0.8

    needs_whole_batch = True
    needs_ids = True

    def __init__(
        self,
        *,
        num_examples: int | None = None,
        negatives: int = 16384,
        temperature: float = 0.07,
        embedding_size: int = 128,
        momentum: float = 0.5,
        seed: int = 0,
        **common: Unpack[OneTapKnobs],
    ):
        super().__init__(**common)
        if num_examples is not None:
            check.whole_number("num_examples", num_examples, at_least=2)
        self.num_examples = num_examples
        self.negatives = check.whole_number("negatives", negatives, at_least=1, at_most=1_000_000)
        self.temperature = check.number("temperature", temperature, above=0)
        self.embedding_size = check.whole_number(
            "embedding_size", embedding_size, at_least=1, at_most=65_536
        )
        self.momentum = check.number("momentum", momentum, at_least=0, at_most=1)
        self.seed = check.whole_number("seed", seed)

    def build(self, student_shape: Shapes, teacher_shape: Shapes) -> None:
        if self.num_examples is None:
            raise ValueError(
                "crd: num_examples is None; expected the number of training examples, each of "
                "which has a place in its memory. Give num_examples=len(training data)."
            )
        self.embed_student = self._embedding(student_shape, self.student_taps[0], "student")
        self.embed_teacher = self._embedding(teacher_shape, self.teacher_taps[0], "teacher")
        self.memory_student = self._memory("memory_student", self.seed)
        self.memory_teacher = self._memory("memory_teacher", self.seed + 1)
        self.log_z = self.add_weight(
            shape=(2,),
            initializer=keras.initializers.Constant(NOT_FIXED),
            trainable=False,
            name="log_z",
        )
        # Hidden from Keras, which would not save the generator. Its state is saved as a weight.
        self._random = Untracked(generator=keras.random.SeedGenerator(self.seed))
        self.random_state = self._random.generator.state

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        ids, is_inside = self._checked_ids(batch.ids)
        embedded_student = self.embed_student(student[self.student_taps[0]])
        embedded_teacher = self.embed_teacher(ops.stop_gradient(teacher[self.teacher_taps[0]]))
        result = crd(
            vectors.unit(embedded_student),
            vectors.unit(embedded_teacher),
            ops.convert_to_tensor(self.memory_student),
            ops.convert_to_tensor(self.memory_teacher),
            self._contrast(ids),
            temperature=self.temperature,
            momentum=self.momentum,
            log_z=(self.log_z[0], self.log_z[1]),
        )
        if batch.training:
            self.memory_student.assign(result["memory_student"])
            self.memory_teacher.assign(result["memory_teacher"])
            self.log_z.assign(ops.stack(result["log_z"]))
        return ops.where(is_inside, result["loss"], math.nan)  # NaN stops a run with wrong ids

    def _embedding(self, shapes: Shapes, tap: str, side: str) -> layers.Dense:
        shape = shapes[tap]
        if len(shape) != 2 or shape[-1] is None:
            raise ValueError(
                f"crd: the {side}'s tap {tap!r} has shape {tuple(shape)}; expected vectors "
                "(B, D) of known D. Choose another tap, such as 'pooled'."
            )
        embedding = layers.Dense(self.embedding_size, dtype="float32", name=f"embed_{side}")
        embedding.build((None, shape[-1]))
        return embedding

    def _memory(self, name: str, seed: int) -> keras.Variable:
        """One row per example, with the length of a unit vector on average."""
        bound = math.sqrt(3 / self.embedding_size)
        return self.add_weight(
            shape=(self.num_examples, self.embedding_size),
            initializer=keras.initializers.RandomUniform(-bound, bound, seed=seed),
            trainable=False,
            name=name,
        )

    def _checked_ids(self, ids: Tensor | None) -> tuple[Tensor, Tensor]:
        """Ids clipped to the memory, and whether they were inside: a trace has no values."""
        if ids is None:
            raise ValueError(
                "crd: the batch has no ids; expected each example's number in the training data. "
                "Use kd_keras.data.pipeline, or give batches ({'inputs': images, 'id': ids}, "
                "labels), in which an example always has the same id."
            )
        values = ids.numpy() if hasattr(ids, "numpy") else ids
        last = self.memory_student.shape[0] - 1
        if isinstance(values, np.ndarray) and (values.min() < 0 or values.max() > last):
            raise ValueError(
                f"crd: ids go from {values.min()} to {values.max()}; expected 0 to {last}. Set "
                "num_examples to the number of training examples."
            )
        ids = ops.cast(ids, "int32")
        return ops.clip(ids, 0, last), ops.logical_and(ids >= 0, ids <= last)

    def _contrast(self, ids: Tensor) -> Tensor:
        """(B, 1 + K) int32: each id, then K ids drawn uniformly from all others."""
        num_rows = self.memory_student.shape[0]
        shape = (ops.shape(ids)[0], self.negatives)
        steps = keras.random.randint(shape, 1, num_rows, dtype="int32", seed=self._random.generator)
        return ops.concatenate([ids[:, None], (ids[:, None] + steps) % num_rows], axis=1)


def crd(
    student: Tensor,
    teacher: Tensor,
    memory_student: Tensor,
    memory_teacher: Tensor,
    contrast_index: Tensor,
    *,
    temperature: float,
    momentum: float,
    log_z: tuple[Any, Any] = (NOT_FIXED, NOT_FIXED),
) -> LossTerms:
    """Named parts of the method.

    Args:
        student, teacher: (B, D) float32 unit vectors; both are trained.
        memory_student, memory_teacher: (num_examples, D) float32.
        contrast_index: (B, 1 + K) int32, rows of the memories; the first is the example's own.
        temperature: > 0.
        momentum: 0 to 1, share of the old vector in the memories.
        log_z: log Z of the student's and of the teacher's scores; infinite before it is fixed.

    Returns:
        `loss`: (B,) float32 in nats, `loss_student` + `loss_teacher`. `log_z`: the
        fixed values. `memory_student`, `memory_teacher`: updated with the batch.
    """
    result = {}
    sides = {"student": (student, memory_teacher), "teacher": (teacher, memory_student)}
    new_log_z = []
    for (side, (vector, memory)), old_log_z in zip(sides.items(), log_z, strict=True):
        scores = ops.take_along_axis(ops.matmul(vector, ops.transpose(memory)), contrast_index, 1)
        loss, side_log_z = _contrastive(scores / temperature, memory.shape[0], old_log_z)
        result[f"loss_{side}"] = loss
        new_log_z.append(side_log_z)
    own_rows = contrast_index[:, 0]
    return {
        **result,
        "loss": result["loss_student"] + result["loss_teacher"],
        "log_z": tuple(new_log_z),
        "memory_student": _update_memory(memory_student, own_rows, student, momentum),
        "memory_teacher": _update_memory(memory_teacher, own_rows, teacher, momentum),
    }


def _contrastive(scores: Tensor, num_examples: int, log_z: Any) -> tuple[Tensor, Tensor]:
    """(B,) loss of scores (B, 1 + K), the example's own first; and the log Z that it used."""
    num_scores = ops.cast(ops.size(scores), "float32")
    estimated_log_z = (
        ops.stop_gradient(ops.logsumexp(scores)) - ops.log(num_scores) + math.log(num_examples)
    )
    log_z = ops.where(ops.isfinite(log_z), log_z, estimated_log_z)
    noise = (scores.shape[1] - 1) / num_examples
    # x = log(P / (q + e)); the logarithms are -softplus(-x) and log(q / (q + e)) - softplus(x).
    x = scores - log_z - math.log(noise + NOISE_FLOOR)
    negative_losses = ops.softplus(x[:, 1:]) + math.log1p(NOISE_FLOOR / noise)
    return ops.softplus(-x[:, 0]) + ops.sum(negative_losses, axis=1), log_z


def _update_memory(memory: Tensor, ids: Tensor, vector: Tensor, momentum: float) -> Tensor:
    old_vectors = ops.take(memory, ids, axis=0)
    new_vectors = vectors.unit(momentum * old_vectors + (1 - momentum) * ops.stop_gradient(vector))
    return ops.scatter_update(memory, ids[:, None], new_vectors)
