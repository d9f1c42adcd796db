"""The loss of nkd, for all methods that use it.

Source: Yang et al. 2023, "From Knowledge Distillation to Self-Knowledge Distillation: A Unified
Approach with Normalized Loss and Customized Soft Labels", arXiv:2303.13005.
"""

from keras import ops

from kd_keras.methods.base import Labels
from kd_keras.methods.parts import nontarget
from kd_keras.tensor_types import Logits, LossTerms


def nkd(
    student_logits: Logits,
    teacher_logits: Logits,
    labels: Labels,
    *,
    temperature: float,
    nontarget_weight: float,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        labels: (B,) int classes or (B, C) probabilities, whose largest is the target.
        temperature, nontarget_weight: see `kd_keras.methods.nkd.NKD`.

    Returns:
        `loss`: (B,) float32 in nats.
    """
    student = ops.cast(student_logits, "float32")
    teacher = ops.stop_gradient(ops.cast(teacher_logits, "float32"))
    mask = nontarget.target_mask(labels, student.shape[-1])
    trust = ops.sigmoid(nontarget.log_odds(teacher, mask))
    target = -trust * ops.log_sigmoid(nontarget.log_odds(student, mask))

    log_q = nontarget.log_softmax_of_others(student / temperature, mask)
    log_p = nontarget.log_softmax_of_others(teacher / temperature, mask)
    p = ops.where(mask, 0.0, ops.exp(log_p))
    nontarget_loss = -(temperature**2) * ops.sum(p * log_q, axis=-1)
    return {"loss": target + nontarget_weight * nontarget_loss}
