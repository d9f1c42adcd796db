"""Two parts of a softmax: the target class against the rest, and the other classes alone."""

from keras import ops

from kd_keras import losses
from kd_keras.tensor_types import Labels, Logits, Tensor

HIDDEN = -1e30  # a logit of probability 0; finite, so that no gradient becomes NaN


def target_mask(labels: Labels, num_classes: int) -> Tensor:
    """(B, C) bool, True at the label's class; labels as in `losses.cross_entropy`.

    Args:
        labels: (B,) int classes, or (B, C) probabilities, whose largest counts.
        num_classes: C.
    """
    return ops.equal(losses.class_index(labels)[:, None], ops.arange(num_classes, dtype="int32"))


def log_odds(logits: Logits, mask: Tensor) -> Tensor:
    """(B,) float32: log(p / (1 - p)) of the masked class, exact where p is close to 0 or 1.

    Args:
        logits: (B, C) float, raw scores.
        mask: (B, C) bool, True at the one class whose probability is p.
    """
    target = ops.sum(ops.where(mask, logits, 0.0), axis=-1)
    return target - ops.logsumexp(ops.where(mask, HIDDEN, logits), axis=-1)


def log_softmax_of_others(logits: Logits, mask: Tensor) -> Tensor:
    """(B, C) float32: log-softmax over the classes that are not masked, 0 at those that are.

    Args:
        logits: (B, C) float, raw scores.
        mask: (B, C) bool, True at the classes that are left out.
    """
    log_q = ops.log_softmax(ops.where(mask, HIDDEN, logits), axis=-1)
    return ops.where(mask, 0.0, log_q)


def two_way_kl(
    student: Logits, student_target: Tensor, teacher: Logits, teacher_target: Tensor
) -> Tensor:
    """(B,) float32 in nats: KL(teacher || student) of (p, 1 - p), p that of one class in each.

    Args:
        student, teacher: (B, C) float, raw scores over their temperature.
        student_target, teacher_target: (B, C) bool, True at the class whose probability is p.
    """
    odds_s, odds_t = log_odds(student, student_target), log_odds(teacher, teacher_target)
    class_term = ops.sigmoid(odds_t) * (ops.log_sigmoid(odds_t) - ops.log_sigmoid(odds_s))
    rest_term = ops.sigmoid(-odds_t) * (ops.log_sigmoid(-odds_t) - ops.log_sigmoid(-odds_s))
    return class_term + rest_term


def kl_of_others(student: Logits, teacher: Logits, mask: Tensor) -> Tensor:
    """(B,) float32 in nats: KL(teacher || student) of the softmaxes over the unmasked classes.

    Args:
        student, teacher: (B, C) float, raw scores over their temperature.
        mask: (B, C) bool, True at the classes that are left out; 0 if one or none remains.
    """
    log_q = log_softmax_of_others(student, mask)
    log_p = log_softmax_of_others(teacher, mask)
    p = ops.where(mask, 0.0, ops.exp(log_p))
    return ops.sum(p * (log_p - log_q), axis=-1)
