"""Hard decisions: the student learns the class that the teacher scores highest.

Loss: -log p_s(k) with k = argmax of the teacher's logits and p = softmax(logits).

Source: Touvron et al. 2021, "Training data-efficient image transformers & distillation through
attention", arXiv:2012.12877, equation 3. Defaults: weight 0.5 and cross-entropy 0.5, as there.
Reads logits only, and no labels: with ce_weight 0, these have no effect. No trained parts. Each
example has its own loss. Not zero at equality.
"""

from keras import ops

from kd_keras import losses
from kd_keras.methods.base import Batch, ExampleLosses, Method, Outputs
from kd_keras.tensor_types import Logits, LossTerms


class Hard(Method):
    """Cross-entropy with the teacher's decision.

    Args:
        weight, ce_weight, warmup, name: see `Method`.
    """

    family = "label-free"
    departures = (
        "One classifier learns from both. In the paper, the labels and the teacher's decisions "
        "have a token and a classifier each."
    )
    default_weight = 0.5
    default_ce_weight = 0.5

    def call(self, student: Outputs, teacher: Outputs, batch: Batch) -> ExampleLosses:
        return hard(student["logits"], teacher["logits"])["loss"]


def hard(student_logits: Logits, teacher_logits: Logits) -> LossTerms:
    """Named parts of the method.

    Args:
        student_logits: (B, C) float, raw scores.
        teacher_logits: (B, C) float, raw scores; among equal scores, the lower class is the
            decision; no gradient flows back.

    Returns:
        `loss`: (B,) float32 in nats; NaN where a score of the teacher is NaN.
    """
    decision = ops.stop_gradient(ops.argmax(teacher_logits, axis=-1))
    loss = losses.cross_entropy(decision, student_logits)
    has_nan = ops.any(ops.isnan(teacher_logits), axis=-1)
    return {"loss": ops.where(has_nan, float("nan"), loss)}
