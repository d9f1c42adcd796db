"""Two parts of a softmax: the target class against the rest, and the other classes alone."""

from keras import ops

from kd_keras import losses
from kd_keras.losses import Labels, Logits, Tensor

HIDDEN = -1e30  # a logit of probability 0; finite, so that no gradient becomes NaN


def target_mask(labels: Labels, num_classes: int) -> Tensor:
    """(B, C) bool, True at the label's class; labels as in `losses.cross_entropy`."""
    return ops.equal(losses.class_index(labels)[:, None], ops.arange(num_classes, dtype="int32"))


def log_odds(logits: Logits, mask: Tensor) -> Tensor:
    """(B,) float32: log(p / (1 - p)) of the masked class, exact where p is close to 0 or 1."""
    target = ops.sum(ops.where(mask, logits, 0.0), axis=-1)
    return target - ops.logsumexp(ops.where(mask, HIDDEN, logits), axis=-1)


def log_softmax_of_others(logits: Logits, mask: Tensor) -> Tensor:
    """(B, C) float32: log-softmax over the classes that are not masked, 0 at those that are."""
    log_q = ops.log_softmax(ops.where(mask, HIDDEN, logits), axis=-1)
    return ops.where(mask, 0.0, log_q)
