"""Gradient accumulation, as Keras's optimizers lack it: on several replicas, and with averages.

Keras decides within each replica whether a batch ends with an update, and a replica's branch cannot
wait for the other replicas. Here gradients are summed over replicas first, and one branch outside
of them takes the update for all.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def over_replicas(optimizer: Any) -> None:
    """Lets `optimizer.apply` accumulate on the replicas of the current strategy.

    Clipping and weight decay happen once for each update, as on one device.

    Args:
        optimizer: Keras optimizer with `gradient_accumulation_steps`. Each replica gives it its
            part of the sum.
    """

    def apply(gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        context = tf.distribute.get_replica_context()
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))
        context.merge_call(_apply_sums, args=(optimizer, sums, list(variables)))

    optimizer._backend_apply_gradients = apply  # in place of Keras's own


def average_after_updates(optimizer: Any) -> None:
    """Lets averaged weights (EMA) change with each update; Keras's change with each batch.

    Args:
        optimizer: Keras optimizer with `gradient_accumulation_steps`, on one device or several.
    """
    average = optimizer._update_model_variables_moving_average
    steps = optimizer.gradient_accumulation_steps

    def after_updates(variables: Sequence[Any]) -> None:
        is_update = (optimizer._iterations.value + 1) % steps == 0
        tf.cond(is_update, lambda: average(variables), lambda: None)

    optimizer._update_model_variables_moving_average = after_updates


def _apply_sums(
    strategy: tf.distribute.Strategy, optimizer: Any, sums: list[Any], variables: list[Any]
) -> None:
    """Keras's `_backend_apply_gradients`, outside the replicas."""
    indices = [optimizer._get_variable_index(variable) for variable in variables]
    accumulators = [optimizer._accumulated_gradients[index].value for index in indices]
    gradients = [strategy.experimental_local_results(value)[0] for value in sums]  # all are equal
    steps = optimizer.gradient_accumulation_steps

    def add() -> None:
        for accumulator, gradient in zip(accumulators, gradients, strict=True):
            accumulator.assign_add(tf.cast(gradient, accumulator.dtype))

    def update() -> None:
        pairs = zip(accumulators, gradients, strict=True)
        means = [(tf.cast(g, a.dtype) + a) / steps for a, g in pairs]
        means = optimizer._clip_gradients(means)
        strategy.extended.call_for_each_replica(lambda: optimizer._apply_weight_decay(variables))
        targets = [variable.value for variable in variables]
        optimizer._distributed_tf_update_step(
            strategy, list(zip(means, targets, strict=True)), optimizer.learning_rate
        )
        for accumulator in accumulators:
            accumulator.assign(tf.zeros_like(accumulator))

    tf.cond((optimizer._iterations.value + 1) % steps == 0, update, add)
    if optimizer.use_ema:
        optimizer._update_model_variables_moving_average(optimizer._trainable_variables)
    if optimizer.use_ema and optimizer.ema_overwrite_frequency:
        tf.cond(
            (optimizer.iterations + 1) % optimizer.ema_overwrite_frequency == 0,
            lambda: optimizer._overwrite_model_variables_with_average_value(
                optimizer._trainable_variables
            ),
            lambda: None,
        )
