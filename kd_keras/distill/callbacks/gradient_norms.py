"""The norm of each loss term's gradient with respect to the student's weights.

Measured on one batch at the end of some epochs, in a pass of its own that changes nothing: no
weight, no moving statistic, no random state, and no compiled step.
"""

import concurrent.futures
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kd_keras import check
from kd_keras.distill.callbacks import gradient_balance
from kd_keras.distill.callbacks.stop_on_nan import NonFiniteError
from kd_keras.distill.step import batches, run_progress
from kd_keras.tensor_types import Tensor

EVERY = 1000  # steps between measurements: scripts/bench_gradient_norms.py shows their cost
SUFFIX = "_gradient_norm"


def norms(distiller: Any, batch: Any) -> dict[str, float]:
    """Norm of each weighted term's gradient with respect to the student's weights.

    The pass is that of a training step, in its precision and stage. Where several replicas train,
    one of them is given the whole batch.

    Args:
        distiller: the `Distiller`, compiled.
        batch: (x, y) or (x, y, sample_weight), as `fit` takes them.

    Returns:
        By term: "ce", then the methods. The square root of the sum of squares over all trainable
        weights of the student, without the methods' own. 0 for what is not minimised now.
    """
    if not tf.distribute.has_strategy():
        return _norms(distiller, batch)
    with concurrent.futures.ThreadPoolExecutor(1) as thread:  # a thread starts outside strategies
        return thread.submit(_norms, distiller, batch).result()


def _norms(distiller: Any, batch: Any) -> dict[str, float]:
    examples = batches.unpack(
        keras.tree.map_structure(tf.convert_to_tensor, batch),
        ignore_class=distiller.ignore_class,
        needs_labels=distiller.needs_labels,
        views=distiller.views_per_image,
    )
    variables = distiller.student.trainable_variables
    values = [tf.convert_to_tensor(variable.value) for variable in variables]
    # All variables read and change in the scope alone.
    scope = keras.StatelessScope(list(zip(variables, values, strict=True)), collect_losses=True)
    with scope, tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(values)
        teacher = examples.teacher or distiller.teacher_outputs(examples.inputs)
        loss, _ = distiller.loss_of(examples, teacher)
    scale = tf.convert_to_tensor(distiller.optimizer.scale_loss(1.0))
    by_term = {name: _norm(tape, term, values, scale) for name, term in loss.weighted.items()}
    return {name: by_term.get(name, 0.0) for name in loss.terms}


def _norm(tape: tf.GradientTape, term: Tensor, values: list[Tensor], scale: Tensor) -> float:
    """The norm, from a gradient that is scaled as in training, or not if that overflows."""
    for factor in (scale, tf.ones_like(scale)):
        gradients = [g for g in tape.gradient(term, values, factor) if g is not None]
        if not gradients:
            return 0.0
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        norm = float(tf.linalg.global_norm(dense)) / float(factor)
        if math.isfinite(norm):
            break
    return norm


def measurements(history: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """The measurements in a history, each once, in order; norms by term."""
    return list(_by_epoch(history).values())


def _by_epoch(history: Mapping[str, Sequence[float]]) -> dict[int, dict[str, float]]:
    """The measurements in a history by the epoch at whose end they were made, counted from 0."""
    norms_by_term = {n.removesuffix(SUFFIX): v for n, v in history.items() if n.endswith(SUFFIX)}
    rows = [
        dict(zip(norms_by_term, row, strict=True))
        for row in zip(*norms_by_term.values(), strict=True)
    ]
    return {e: row for e, row in enumerate(rows) if e == 0 or row != rows[e - 1]}


class GradientNorms(keras.callbacks.Callback):
    """Adds `<term>_gradient_norm` to the logs of an epoch, see `norms`.

    It measures at the end of the first epoch, of the last, and of each epoch at whose end `every`
    steps have passed since the last measurement; other epochs repeat the last measurement. A loss
    of one term is not measured. Put it before callbacks that write logs.

    Args:
        batch: a batch as `fit` takes them, (x, y) or (x, y, sample_weight), or a function that
            returns one for the number of steps that were trained.
        every: steps, >= 1. The last epoch is measured too, unless a later callback ends it.
        warn: called at the end of the training with each sentence of `gradient_balance.sentences`.
        earlier: logs by name of the epochs before the first one, one value each, of a training that
            goes on.

    Raises:
        NonFiniteError: a term's gradient is NaN or infinite; the message names the term.
    """

    def __init__(
        self,
        batch: Any | Callable[[int], Any],
        *,
        every: int = EVERY,
        warn: Callable[[str], None] = warnings.warn,
        earlier: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        self.earlier = earlier or {}
        self.batch = batch
        self.every = check.whole_number("every", every, at_least=1)
        self.warn = warn
        self._norms: dict[str, float] = {}
        self._all: list[dict[str, float]] = []
        self._measured_at: int | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        norms_by_epoch = _by_epoch(self.earlier)
        last = max(norms_by_epoch, default=None)
        self._all = list(norms_by_epoch.values())
        self._norms = {} if last is None else norms_by_epoch[last]
        self._measured_at = None if last is None else (last + 1) * self.params["steps"]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is None or not self.model.methods:
            return
        steps = run_progress.steps_taken(self.model)
        is_last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        since = math.inf if self._measured_at is None else steps - self._measured_at
        if is_last or since >= self.every:
            batch = self.batch(steps) if callable(self.batch) else self.batch
            self._norms, self._measured_at = norms(self.model, batch), steps
            self._require_finite(epoch)
            self._all.append(self._norms)
        logs |= {f"{name}{SUFFIX}": norm for name, norm in self._norms.items()}

    def on_train_end(self, logs: Any = None) -> None:
        exempt_terms = gradient_balance.switched_off(self.model, measurements=len(self._all))
        for line in gradient_balance.sentences(self._all, exempt_terms=exempt_terms):
            self.warn(line)

    def _require_finite(self, epoch: int) -> None:
        not_finite = [name for name, norm in self._norms.items() if not math.isfinite(norm)]
        if not_finite:
            raise NonFiniteError(
                f"the gradient of {' and '.join(not_finite)} is NaN or infinite after epoch "
                f"{epoch + 1}, so that the next step makes the weights so too. Lower "
                f"the learning rate (--learning-rate) or the weight of {not_finite[0]}, train in "
                f"float32 (--precision float32), or leave {not_finite[0]} out."
            )
