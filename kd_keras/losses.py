"""Losses and scores of each example that several methods share: in float32, never averaged."""

import math

from keras import ops

from kd_keras.tensor_types import ExampleLosses, Labels, Logits, Tensor

#: Smallest normal float32. Its log is finite, and adding it changes no probability.
FLOAT32_TINY = 1.1754944e-38


def cross_entropy(labels: Labels, logits: Logits, *, label_smoothing: float = 0.0) -> ExampleLosses:
    """Cross-entropy of the softmax of `logits` with `labels`.

    Args:
        labels: (B,) or (B, 1) int class indices, or (B, C) float probabilities.
        logits: (B, C) float, raw scores.
        label_smoothing: share of the target that is spread evenly over the C classes, 0 to 1.

    Returns:
        (B,) float32 in nats, not averaged. NaN for class indices outside 0 to C - 1; on a CPU
        TensorFlow raises InvalidArgumentError instead, which names the index.

    Raises:
        ValueError: labels are probabilities of a different number of classes than the logits.
    """
    logits = ops.cast(logits, "float32")
    if is_class_index(labels):
        classes = ops.cast(ops.reshape(labels, (-1,)), "int32")
        # On JAX, Keras returns 0 for labels out of range, which would train in silence.
        is_known = ops.logical_and(classes >= 0, classes < logits.shape[-1])
        loss = ops.sparse_categorical_crossentropy(classes, logits, from_logits=True)
        loss = ops.where(is_known, loss, math.nan)
    else:
        width, num_classes = labels.shape[-1], logits.shape[-1]
        if None not in (width, num_classes) and width != num_classes:
            raise ValueError(
                f"labels have rows of {width} values, the logits rows of {num_classes}; expected "
                "rows of the same length, or class indices. Give both the same classes."
            )
        loss = -ops.sum(ops.cast(labels, "float32") * ops.log_softmax(logits, axis=-1), axis=-1)
    if not label_smoothing:
        return loss
    uniform_loss = -ops.mean(ops.log_softmax(logits, axis=-1), axis=-1)
    return (1 - label_smoothing) * loss + label_smoothing * uniform_loss


def binary_cross_entropy(
    labels: Labels, logits: Logits, *, label_smoothing: float = 0.0
) -> ExampleLosses:
    """Cross-entropy of each class's sigmoid with its label, for examples of several classes.

    Args:
        labels: (B, C) float or int, 0 to 1: whether an example has each class.
        logits: (B, C) float, raw scores.
        label_smoothing: share of each label that is replaced by 1/2, 0 to 1.

    Returns:
        (B,) float32 in nats, the mean over the classes; not averaged over examples.

    Raises:
        ValueError: labels are not rows of as many values as there are logits.
    """
    if len(labels.shape) != 2 or labels.shape[-1] != logits.shape[-1]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)}, the logits {tuple(logits.shape)}; expected "
            "a row of 0 and 1 for each example, with a value for each class."
        )
    logits, labels = ops.cast(logits, "float32"), ops.cast(labels, "float32")
    labels = (1 - label_smoothing) * labels + 0.5 * label_smoothing
    # -log sigmoid(z) is softplus(-z), and -log(1 - sigmoid(z)) is softplus(z).
    losses = labels * ops.softplus(-logits) + (1 - labels) * ops.softplus(logits)
    return ops.mean(losses, axis=-1)


def softened_kl(
    student_logits: Logits, teacher_logits: Logits, *, temperature: float | Tensor
) -> ExampleLosses:
    """KL(teacher || student) of the two softmaxes at `temperature`.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        temperature: float > 0 or a scalar tensor, no unit; 1 leaves the softmax as it is.

    Returns:
        (B,) float32 in nats, times temperature**2 so that gradients keep
        their size when the temperature changes. Not averaged. NaN where a
        logit of the teacher is infinite: give a class that it leaves out
        -1e4, not -inf.

    Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2.
    """
    teacher_logits = ops.stop_gradient(ops.cast(teacher_logits, "float32"))
    student_logits = ops.cast(student_logits, "float32")
    log_p = ops.log_softmax(teacher_logits / temperature, axis=-1)
    log_q = ops.log_softmax(student_logits / temperature, axis=-1)
    return temperature**2 * ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)


def softened_binary_kl(
    student_logits: Logits, teacher_logits: Logits, *, temperature: float | Tensor
) -> ExampleLosses:
    """KL(teacher || student) of each class's sigmoid at `temperature`, mean over the classes.

    For one class it is `softened_kl` of the two logits 0 and z, whose softmax is that sigmoid.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        temperature: float > 0 or a scalar tensor, no unit; 1 leaves the sigmoids as they are.

    Returns:
        (B,) float32 in nats, times temperature**2 as in `softened_kl`. Not averaged over examples.
        NaN where a logit of the teacher is infinite.

    Source: Yang et al. 2023, "Multi-Label Knowledge Distillation", arXiv:2308.06453, the part on
    logits, there a sum over the classes, without a temperature.
    """
    teacher = ops.stop_gradient(ops.cast(teacher_logits, "float32")) / temperature
    student = ops.cast(student_logits, "float32") / temperature
    p = ops.sigmoid(teacher)
    present_loss = p * (ops.softplus(-student) - ops.softplus(-teacher))
    absent_loss = (1 - p) * (ops.softplus(student) - ops.softplus(teacher))
    return temperature**2 * ops.mean(present_loss + absent_loss, axis=-1)


def is_class_index(labels: Labels) -> bool:
    """True for (B,) or (B, 1) labels, False for (B, C) probabilities."""
    return len(labels.shape) == 1 or labels.shape[-1] == 1


def class_index(labels: Labels) -> Tensor:
    """(B,) int32 classes of labels as in `cross_entropy`; for probabilities, the largest."""
    if is_class_index(labels):
        return ops.cast(ops.reshape(labels, (-1,)), "int32")
    return ops.cast(ops.argmax(labels, axis=-1), "int32")


def agreement(student_logits: Logits, teacher_logits: Logits) -> ExampleLosses:
    """(B,) float32: 1 where student and teacher score the same class highest, else 0.

    Among equal scores the lower class counts as higher. Scores with a NaN give 0.
    """
    is_same = ops.equal(ops.argmax(student_logits, axis=-1), ops.argmax(teacher_logits, axis=-1))
    are_numbers = ops.logical_and(_are_numbers(student_logits), _are_numbers(teacher_logits))
    return ops.cast(ops.logical_and(is_same, are_numbers), "float32")


def in_top(labels: Labels, scores: Logits, *, k: int = 1) -> ExampleLosses:
    """Whether the label is among the k classes with the highest scores.

    Among equal scores the lower class counts as higher, as in argmax. Scores with a NaN, and labels
    outside 0 to C - 1, give 0.

    Args:
        labels: (B,) or (B, 1) int classes, or (B, C) probabilities, whose largest is the label.
        scores: (B, C) float.
        k: number of classes that count, >= 1.

    Returns:
        (B,) float32, 1 or 0.
    """
    scores = ops.cast(scores, "float32")
    classes = scores.shape[-1]
    label = class_index(ops.convert_to_tensor(labels))
    in_range = ops.logical_and(label >= 0, label < classes)
    label = ops.expand_dims(ops.clip(label, 0, classes - 1), -1)  # (B, 1)
    label_scores = ops.take_along_axis(scores, label, axis=-1)
    is_lower_class = ops.expand_dims(ops.arange(classes, dtype="int32"), 0) < label
    is_ahead = ops.logical_or(
        scores > label_scores, ops.logical_and(scores == label_scores, is_lower_class)
    )
    is_in_top = ops.sum(ops.cast(is_ahead, "int32"), axis=-1) < k
    return ops.cast(is_in_top & in_range & _are_numbers(scores), "float32")


def _are_numbers(scores: Logits) -> Tensor:
    """(B,) bool: whether none of the example's scores is NaN."""
    return ops.logical_not(ops.any(ops.isnan(scores), axis=-1))
