"""The loss of dkd, for all methods that use it.

Source: Zhao et al. 2022, "Decoupled Knowledge Distillation", arXiv:2203.08679, equations 6 and 7.
"""

from keras import ops

from kd_keras.methods.base import Labels
from kd_keras.methods.parts import nontarget
from kd_keras.tensor_types import Logits, LossTerms


def dkd(
    student_logits: Logits,
    teacher_logits: Logits,
    labels: Labels,
    *,
    temperature: float,
    target_weight: float,
    nontarget_weight: float,
) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; no gradient flows back.
        labels: (B,) int classes or (B, C) probabilities, whose largest is the target.
        temperature, target_weight, nontarget_weight: see `kd_keras.methods.dkd.DKD`.

    Returns:
        `loss_tckd`, `loss_nckd`: (B,) float32 in nats, times temperature**2, without their
        weights. `loss`: (B,), their weighted sum.
    """
    student = ops.cast(student_logits, "float32") / temperature
    teacher = ops.stop_gradient(ops.cast(teacher_logits, "float32")) / temperature
    mask = nontarget.target_mask(labels, student.shape[-1])

    tckd = temperature**2 * nontarget.two_way_kl(student, mask, teacher, mask)
    nckd = temperature**2 * nontarget.kl_of_others(student, teacher, mask)
    loss = target_weight * tckd + nontarget_weight * nckd
    return {"loss": loss, "loss_tckd": tckd, "loss_nckd": nckd}
