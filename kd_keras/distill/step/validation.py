"""What validation reports of the methods, where the teacher runs there too (`validate_teacher`).

A method's loss is reported where it means the same on validation images as in training. Student and
teacher are both in inference mode.
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

from kd_keras import replicas
from kd_keras.distill.step.batches import Examples
from kd_keras.methods.base import Batch, ExampleLosses, Method, Outputs, Tensor


def losses(
    methods: Sequence[Method],
    student: Outputs,
    teacher: Outputs,
    examples: Examples,
    *,
    multi_label: bool = False,
) -> dict[str, Tensor]:
    """Mean loss of each method that validation can report, without its weight, by name; scalars.

    Args:
        methods: all methods of the training.
        student: "logits" (B, C) and every tap that the methods read, float32.
        teacher: the same of the teacher.
        examples: the batch.
        multi_label: whether an example may have several classes.
    """
    batch = Batch(examples.labels, None, examples.inputs, training=False, multi_label=multi_label)
    values = {m.name: m(student=student, teacher=teacher, batch=batch) for m in reported(methods)}
    return {n: mean_over_examples(weighted(v, examples)) for n, v in values.items()}


def weighted(losses: ExampleLosses, examples: Examples) -> ExampleLosses:
    """(B,) float32: the losses, each times its example's sample weight."""
    if examples.sample_weight is None:
        return losses
    return losses * ops.cast(examples.sample_weight, "float32")


def mean_over_examples(losses: ExampleLosses) -> Tensor:
    """Mean of (B,) losses; 0 of none, since a replica's part of a batch may have no example."""
    if replicas.count() == 1:
        return ops.mean(losses)
    return ops.sum(losses) / ops.maximum(ops.cast(ops.shape(losses)[0], "float32"), 1.0)


def reported(methods: Sequence[Method]) -> list[Method]:
    """The methods whose loss validation can report."""
    return [method for method in methods if not reason_left_out(method)]


def reason_left_out(method: Method) -> str:
    """Why validation cannot report the method's loss; empty where it can."""
    if method.views_per_image > 1:
        return f"it needs {method.views_per_image} views of an image, and validation shows one"
    if method.needs_ids:
        return "it remembers training images by their ids"
    if method.needs_whole_batch:
        return "it relates the images of a batch, so its value depends on the batches"
    if getattr(method, "main_stage_weight", 1) == 0:
        return "it is trained in the first stage alone"
    return ""


def left_out(methods: Sequence[Method]) -> str:
    """A sentence that names the methods without a loss in validation; empty if there is none."""
    reasons = {method.name: reason_left_out(method) for method in methods}
    reasons_in_words = "; ".join(f"{name}: {reason}" for name, reason in reasons.items() if reason)
    return f"validation reports no loss of {reasons_in_words}" if reasons_in_words else ""


def require_model(teacher: Any, *, is_model: bool) -> None:
    """Raises ValueError where the teacher cannot run in validation."""
    if teacher is not None and not is_model:
        raise ValueError(
            "validate_teacher is set, and the teacher is a cache of its outputs on training "
            "images; expected a model. Give one, or leave validate_teacher (--validate-teacher) "
            "out."
        )
