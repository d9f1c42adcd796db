"""Keras's Muon, with weight decay that several replicas can take."""

import re
from collections.abc import Iterable
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="kd_keras")
class Muon(keras.optimizers.Muon):
    """Muon for the kernels of dense layers, AdamW for all other weights, with one weight decay.

    Keras's own Muon assigns the decayed weights within each replica, which TensorFlow refuses for
    several. Its two weight decays are one here, so the decay that all other optimizers have serves.
    """

    def _apply_weight_decay(self, variables: Any) -> None:
        keras.optimizers.Optimizer._apply_weight_decay(self, variables)


def make(head: Iterable[str], *, weight_decay: float | None = None, **settings: Any) -> Muon:
    """Muon for a model; its source says that the last layer's kernel belongs to AdamW.

    Args:
        head: paths of the layers that AdamW updates.
        weight_decay: decoupled weight decay of Muon and of AdamW.
        settings: as `keras.optimizers.Muon` takes them.

    **Source:** Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; the scale of an
    update follows Liu et al. 2025, "Muon is Scalable for LLM Training", arXiv:2502.16982.
    """
    return Muon(
        weight_decay=weight_decay,
        adam_weight_decay=weight_decay,
        exclude_layers=[f"^{re.escape(path)}/" for path in head],
        **settings,
    )


def uses_muon(optimizer: Muon, variable: Any) -> bool:
    """Whether the variable gets Muon's update, not AdamW's."""
    return not optimizer._should_use_adamw(variable)
