"""Standardised logits, for all methods that use them.

Source: Sun et al. 2024, "Logit Standardization in Knowledge Distillation", arXiv:2403.01427,
algorithm 1.
"""

from keras import ops

from kd_keras.methods.parts import vectors
from kd_keras.tensor_types import Logits, Tensor

STANDARDISATION_EPSILON = 1e-7  # added to the deviation, as in the authors' code


def standardised(logits: Logits, epsilon: float = STANDARDISATION_EPSILON) -> Tensor:
    """(B, C) float32 with mean 0 and deviation 1 in each row; 0 if all logits of a row are equal.

    Equal logits get no gradient: they have no direction to learn, and the formula's slope is 1e7.

    Args:
        logits: (B, C) float, raw scores.
        epsilon: added to the deviation, > 0.
    """
    logits = ops.cast(logits, "float32")
    centred = logits - ops.mean(logits, axis=-1, keepdims=True)
    deviation = vectors.norm(centred) / (logits.shape[-1] - 1) ** 0.5
    centred = ops.where(deviation > epsilon, centred, ops.stop_gradient(centred))
    return centred / (epsilon + deviation)
