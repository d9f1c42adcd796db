"""Turns losses into an optimizer step: scales, sums over replicas and clips gradients."""

from typing import Any

import keras
import tensorflow as tf

from kd_keras import check, replicas
from kd_keras.distill.step import accumulation, split_batch
from kd_keras.distill.step.objective import LOSS_PARTS, Loss
from kd_keras.tensor_types import Tensor

ADAM_LEARNING_RATE = 0.001


def optimizer_for(optimizer: Any, *, precision: str) -> keras.Optimizer:
    """The optimizer, its loss scaled where float16 would lose small gradients.

    Args:
        optimizer: what `keras.Model.compile` takes; None is Adam at 0.001.
        precision: the lowest that the step's layers compute in, of `graph.precision.PRECISIONS`.

    Raises:
        ValueError: an optimizer that cannot work in float16.
    """
    optimizer = keras.optimizers.get(optimizer or keras.optimizers.Adam(ADAM_LEARNING_RATE))
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if precision == "mixed_float16" and not scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    inner = _inner(optimizer)
    parts = gradient_parts(inner)
    if inner is not optimizer and parts:
        raise ValueError(
            f"optimizer {inner.name!r} takes the gradients of {' and '.join(parts)} separately, "
            "and these cannot be scaled as float16 needs it; expected precision float32 or "
            "mixed_bfloat16 with it, and no LossScaleOptimizer around it."
        )
    if replicas.count() > 1 and inner.gradient_accumulation_steps:
        accumulation.over_replicas(inner)
    return optimizer


def gradient_parts(optimizer: Any) -> tuple[str, ...]:
    """Parts of the loss whose gradients the optimizer takes separately; empty: it takes their sum.

    Raises ValueError for a name that is not in `objective.LOSS_PARTS`.
    """
    parts = tuple(getattr(optimizer, "gradient_parts", ()))
    for part in parts:
        check.one_of(f"gradient_parts of optimizer {optimizer.name!r}", part, LOSS_PARTS)
    return parts


def step(
    optimizer: Any,
    tape: tf.GradientTape,
    loss: Loss,
    variables: list[Any],
    *,
    num_examples: Any = 1,
) -> None:
    """Takes one step of the optimizer by the gradient of the mean loss over all examples.

    A variable that no loss depends on is not updated: momentum and weight decay leave it alone too.

    Args:
        optimizer: from `optimizer_for`. One with `gradient_parts` gets a gradient of each.
        tape: the losses recorded; persistent for an optimizer with `gradient_parts`.
        loss: that of this replica's examples; its `parts` include the optimizer's `gradient_parts`.
        variables: what is trained.
        num_examples: number of this replica's examples, by which replicas' gradients are weighted.
    """
    is_distributed = replicas.count() > 1
    share = split_batch.replica_fraction(num_examples) if is_distributed else 1.0
    # The factor of each loss: this replica's share, and float16's loss scale.
    factor = tf.convert_to_tensor(optimizer.scale_loss(share))
    if getattr(optimizer, "gradient_parts", ()):
        _step_by_parts(optimizer, tape, loss, variables, factor)
        return
    gradients = tape.gradient([loss.task, loss.distillation], variables, [factor, factor])
    if is_distributed:
        gradients = _clip_over_replicas(gradients, optimizer)
    pairs = list(zip(gradients, variables, strict=True))
    pairs = [pair for pair in pairs if pair[0] is not None] or pairs  # Keras names them if all lack
    optimizer.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])


def _step_by_parts(
    optimizer: Any, tape: tf.GradientTape, loss: Loss, variables: list[Any], factor: Tensor
) -> None:
    """As `step`, with a gradient of each of the optimizer's parts of the loss, times `factor`."""
    parts = optimizer.gradient_parts
    separate = [tape.gradient(loss.parts[part], variables, factor) for part in parts]
    rows = list(zip(*separate, variables, strict=True))
    reached = [row for row in rows if any(g is not None for g in row[:-1])] or rows
    *by_part, reached_variables = map(list, zip(*reached, strict=True))
    gradients = dict(zip(parts, by_part, strict=True))
    if optimizer.global_clipnorm:  # without clipping, the optimizer itself sums over replicas
        gradients = {part: [_dense(g) for g in gradients[part]] for part in parts}
        if replicas.count() > 1:
            gradients = _clip_by_part(gradients, optimizer)
    optimizer.apply_parts(gradients, reached_variables)


def _clip_over_replicas(gradients: list[Any], optimizer: Any) -> list[Any]:
    """This replica's share of the summed gradient, for Keras's optimizers to sum.

    Keras clips each replica's gradient before it sums them, and looks for float16's overflow in the
    first's alone; so where it does, every replica is given the same share of the clipped sum.
    """
    inner = _inner(optimizer)
    clips = inner.clipnorm or inner.global_clipnorm or inner.clipvalue
    clips = clips and not inner.gradient_accumulation_steps  # of the mean, see `accumulation`
    if not (clips or inner is not optimizer):
        return gradients
    known = [gradient for gradient in gradients if gradient is not None]
    total = tf.distribute.get_replica_context().all_reduce("SUM", known)
    if clips:
        total = _clipped(total, inner, optimizer.scale_loss(1.0))
    totals = iter(total)
    return [None if g is None else _replica_share(next(totals)) for g in gradients]


def _dense(gradient: Any) -> Tensor | None:
    """A gradient without the sparse form that those of embeddings have."""
    return None if gradient is None else tf.convert_to_tensor(gradient)


def _replica_share(gradient: Any) -> Any:
    """One of as many equal shares of a gradient as there are replicas."""
    if isinstance(gradient, tf.IndexedSlices):  # of an embedding
        values = gradient.values / replicas.count()
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return gradient / replicas.count()


def _clip_by_part(gradients: dict[str, list[Any]], optimizer: Any) -> dict[str, list[Any]]:
    """As `_clip_over_replicas`, for gradients by part of the loss, clipped by one factor."""
    grouped = [
        {part: g for part, g in zip(gradients, row, strict=True) if g is not None}
        for row in zip(*gradients.values(), strict=True)
    ]
    total = tf.distribute.get_replica_context().all_reduce("SUM", grouped)
    replica_shares = [
        {part: _replica_share(gradient) for part, gradient in group.items()}
        for group in optimizer.clipped(total)
    ]
    return {part: [group.get(part) for group in replica_shares] for part in gradients}


def _clipped(gradients: list[Tensor], optimizer: Any, scale: Any) -> list[Tensor]:
    """Clips gradients as the optimizer is set to; they come multiplied by `scale`."""
    if optimizer.clipnorm:
        max_norm = optimizer.clipnorm * scale
        return [tf.clip_by_norm(_dense(g), max_norm) for g in gradients]
    if optimizer.global_clipnorm:
        return list(tf.clip_by_global_norm(gradients, optimizer.global_clipnorm * scale)[0])
    if optimizer.clipvalue:
        limit = optimizer.clipvalue * scale
        clipped = [tf.clip_by_value(g, -limit, limit) for g in gradients]
        # An infinite gradient stays so, for the loss scaling to see.
        pairs = zip(gradients, clipped, strict=True)
        return [tf.where(tf.math.is_finite(g), c, g) for g, c in pairs]
    return gradients


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)
