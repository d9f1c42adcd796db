"""A Keras model whose training and evaluation also work over several replicas."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kd_keras import check
from kd_keras.distill.keras_model import compiled_metrics
from kd_keras.distill.step import batches, split_batch
from kd_keras.distill.step.batches import Examples
from kd_keras.replicas import after_data
from kd_keras.tensor_types import Logits, Tensor


class ReplicaModel(keras.Model):
    """A Keras model whose fit and evaluate also work over several replicas."""

    train_function: Any
    test_function: Any
    #: True while `evaluate` runs, also the one within `fit`.
    evaluating = False

    def trained_models(self) -> Sequence[Any]:
        """The models whose compiled metrics are given the batches' labels.

        A method, since Keras saves the models that it finds in properties.
        """
        return [self]

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`."""
        return self._while_evaluating(super().evaluate, *args, **kwargs)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.test_on_batch`."""
        return self._while_evaluating(super().test_on_batch, *args, **kwargs)

    def _check_jit_compile(self, jit_compile: Any) -> None:
        """Raises ValueError where XLA cannot compile the step, or for what says neither yes nor no.

        Variables of several replicas lie on many devices; "auto" leaves their step uncompiled.
        """
        if jit_compile is not None:
            check.one_of("jit_compile", jit_compile, ("auto", True, False))
        count = self.distribute_strategy.num_replicas_in_sync
        if jit_compile is True and count > 1:
            raise ValueError(
                f"jit_compile is True and {count} replicas train together, whose step XLA cannot "
                "compile; expected 'auto' or False. Leave jit_compile out, or train on one device."
            )

    def _while_evaluating(self, evaluate: Any, *args: Any, **kwargs: Any) -> Any:
        self.evaluating = True
        try:
            return evaluate(*args, **kwargs)
        finally:
            self.evaluating = False

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Checks and makes what depends on the data, before the first step of a phase is traced.

        Keras's own adds the replicas' parts of the first batch to each other and calls the model
        on the sum. That fails for parts of unequal size and for batches of several views. On one
        device, Keras makes metrics in the first step, which it then traces again.
        """
        if self._distribute_strategy is None:
            if iterator is not None:
                labels = compiled_metrics.label_form(iterator._get_iterator().element_spec)
                self._build_compiled_metrics(labels)
            return
        replicas = self.distribute_strategy.num_replicas_in_sync
        if iterator is not None and not self.evaluating:
            split_batch.require_full_batches(iterator.data_adapter, replicas)
        if all(
            m._compile_metrics is None or m._compile_metrics.built for m in self.trained_models()
        ):
            return
        batch = next(next(iter(iterator))[2]) if iterator is not None else data_batch
        part = split_batch.first_part(self.distribute_strategy, batch)
        labels = batches.unpack(part, needs_labels=()).labels
        with self.distribute_strategy.scope():
            self._build_compiled_metrics(labels)

    def _build_compiled_metrics(self, labels: Any) -> None:
        for model in self.trained_models():
            compiled_metrics.build(model._compile_metrics, labels, model.num_classes)

    def _update_compiled_metrics(self, examples: Examples, logits: Logits) -> None:
        if self._compile_metrics:
            compiled_metrics.update(self._compile_metrics, examples, logits)

    def make_train_function(self, force: bool = False) -> None:
        if self.distribute_strategy.num_replicas_in_sync == 1:
            super().make_train_function(force)
        elif self.train_function is None or force:
            self.train_function = step_function(self, self.train_step, full=True)

    def make_test_function(self, force: bool = False) -> None:
        if self.distribute_strategy.num_replicas_in_sync == 1:
            super().make_test_function(force)
        elif self.test_function is None or force:
            self.test_function = step_function(self, self.test_step)


def step_function(
    model: Any, step: Callable[..., Any], *, full: bool = False
) -> Callable[[Any], Any]:
    """A compiled function from a data iterator to logs, for several replicas.

    Keras's own fails under replicas with `steps_per_execution` above 1 (keras issue 19246).

    Args:
        model: whose metrics are the logs.
        step: from a batch to logs, run on each replica with its part of the batch.
        full: whether a batch that leaves a replica without examples is an error.
    """
    strategy, repeats = model.distribute_strategy, model.steps_per_execution

    @after_data
    def step_on(model: Any, batch: Any) -> None:
        with tf.control_dependencies(split_batch.check_full(strategy, batch) if full else []):
            strategy.run(tf.autograph.experimental.do_not_convert(step), args=(batch,))

    def run(iterator: Any) -> dict[str, Tensor]:
        step_on(model, next(iterator))
        if repeats > 1:  # or a second step would be traced that never runs
            for _ in tf.range(repeats - 1):
                batch = iterator.get_next_as_optional()
                if batch.has_value():  # an epoch need not be a multiple of `repeats`
                    step_on(model, batch.get_value())
        logs: dict[str, Tensor] = model.get_metrics_result()  # over the examples of all replicas
        return logs

    return run if model.run_eagerly else tf.function(run)
