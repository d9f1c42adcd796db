"""Distillation-oriented trainer: SGD with separate momenta for the task and the distillation.

With momentum mu and delta, a variable that has both gradients is updated with
    task = (mu - delta) * task + (task gradient + weight_decay * variable)
    distillation = (mu + delta) * distillation + distillation gradient
    variable -= learning_rate * task + learning_rate * distillation
The distillation's gradient changes less from step to step, so its momentum may last longer.

Source: Zhao et al. 2023, "DOT: A Distillation-Oriented Trainer", arXiv:2307.08436, as in the
authors' code, including its special cases: a variable with only one of the two gradients uses mu.
Weight decay is part of the gradient (not decoupled): of the task's, or, for a variable without one,
of the distillation's from the second step on. Dampening starts at the second step.
"""

from typing import Any, Unpack

import keras
from keras import ops

from kd_keras import check
from kd_keras.optimizers.separate_momenta import TASK, CommonOptions, SeparateMomenta
from kd_keras.tensor_types import Tensor

DISTILLATION = "distillation"


@keras.saving.register_keras_serializable(package="kd_keras")
class DOT(SeparateMomenta):
    """SGD with one momentum for the task's gradients and one for the distillation's.

    Use `apply_parts`. `apply` and `apply_gradients` treat their gradients as the task's.

    Args:
        learning_rate: float, schedule, or function without arguments.
        momentum: mu, >= 0 and < 1.
        delta: half the difference of the two momenta, 0 to mu; mu + delta < 1.
        dampening: share of each gradient after the first, 0 to 1, that momentum does not include.
        weight_decay: factor, >= 0, of the L2 penalty's gradient; None for none.
        global_clipnorm: largest norm of the sum of all gradients, which keep their shares.
        use_ema, ema_momentum, ema_overwrite_frequency, name: as in every Keras optimizer.

    Raises:
        ValueError: a number is out of range, or another argument of a Keras optimizer is given,
            such as `clipnorm`.
    """

    gradient_parts = (TASK, DISTILLATION)

    def __init__(
        self,
        learning_rate: Any = 0.05,
        *,
        momentum: float = 0.9,
        delta: float = 0.075,
        name: str = "dot",
        **common: Unpack[CommonOptions],
    ):
        super().__init__(learning_rate, momentum=momentum, name=name, **common)
        self.delta = check.number("delta", delta, at_least=0, at_most=self.momentum)
        if self.momentum + self.delta >= 1:
            raise ValueError(
                f"momentum is {momentum!r} and delta {delta!r}; expected a sum below 1, since the "
                "distillation's momentum never fades otherwise. Lower one of them."
            )

    def update_step(self, gradient: dict[str, Tensor], variable: Any, learning_rate: Any) -> None:
        """Updates one variable; `gradient` has the keys "task", "distillation" or both."""
        learning_rate = ops.cast(learning_rate, variable.dtype)
        spread = self.delta if len(gradient) == 2 else 0.0
        value = ops.convert_to_tensor(variable)
        if TASK in gradient:
            decayed_gradient = (
                ops.cast(gradient[TASK], variable.dtype) + self.decay(variable) * value
            )
            momentum = self.update_momentum(
                TASK, decayed_gradient, variable, self.momentum - spread
            )
            self.assign_sub(variable, learning_rate * momentum)
        if DISTILLATION in gradient:
            decayed_gradient = ops.cast(gradient[DISTILLATION], variable.dtype)
            if TASK not in gradient:
                decay = self.decay(variable) * self.after_first_step(variable)
                decayed_gradient = decayed_gradient + decay * value
            momentum = self.update_momentum(
                DISTILLATION, decayed_gradient, variable, self.momentum + spread
            )
            self.assign_sub(variable, learning_rate * momentum)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "delta": self.delta}
