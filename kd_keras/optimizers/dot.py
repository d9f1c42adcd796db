"""Distillation-oriented trainer: SGD that keeps the task's and the distillation's momenta apart.

With momentum mu and delta, a variable that has both gradients is updated with
    task = (mu - delta) * task + (task gradient + weight_decay * variable)
    kd = (mu + delta) * kd + kd gradient
    variable -= learning_rate * task + learning_rate * kd
so that the distillation's gradient, which changes less, is followed longer.

Source: Zhao et al. 2023, "DOT: A Distillation-Oriented Trainer", arXiv:2307.08436, as in the
authors' code, whose corners are kept: a variable that has one of the two gradients uses mu; the
decay is part of the gradient (not decoupled) and belongs to the task's, or, from the second step
on, to the distillation's where there is no other; dampening spares the first step.
"""

from typing import Any

import keras
from keras import ops

from kd_keras import check

Tensor = Any
TASK, KD = "task", "kd"


@keras.saving.register_keras_serializable(package="kd_keras")
class DOT(keras.optimizers.Optimizer):
    """SGD with a momentum for the task's gradients and another for the distillation's.

    Use `apply_two`; `apply` and `apply_gradients` take their gradients for the task's.

    Args:
        learning_rate: float, schedule, or function without arguments.
        momentum: mu, 0 or more and below 1.
        delta: at least 0, at most mu, and mu + delta below 1.
        dampening: share, 0 to 1, of each gradient after the first that is left out of momentum.
        weight_decay: factor, >= 0, of the L2 penalty's gradient; None for none.
        use_ema, ema_momentum, ema_overwrite_frequency, name: as in every Keras optimizer.
    """

    #: Tells the Distiller to hand the two gradients over apart.
    two_gradients = True

    def __init__(
        self,
        learning_rate: Any = 0.05,
        *,
        momentum: float = 0.9,
        delta: float = 0.075,
        dampening: float = 0.0,
        weight_decay: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        name: str = "dot",
    ):
        # Keras's own weight decay is decoupled from the gradient; this one is not.
        super().__init__(
            learning_rate,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            name=name,
        )
        self.momentum = check.number("momentum", momentum, at_least=0, at_most=1)
        self.delta = check.number("delta", delta, at_least=0, at_most=self.momentum)
        if self.momentum + self.delta >= 1:
            raise ValueError(
                f"momentum is {momentum!r} and delta {delta!r}; expected a sum below 1, or the "
                "distillation's momentum never fades. Lower one of them."
            )
        self.dampening = check.number("dampening", dampening, at_least=0, at_most=1)
        self.l2 = check.number("weight_decay", weight_decay or 0.0, at_least=0)

    def build(self, variables: list[Any]) -> None:
        """Makes both momenta of every variable, zero at first."""
        if self.built:
            return
        super().build(variables)
        self.momenta = {
            TASK: self.add_optimizer_variables(variables, "task_momentum"),
            KD: self.add_optimizer_variables(variables, "kd_momentum"),
        }

    def apply_two(
        self,
        task_gradients: list[Tensor | None],
        kd_gradients: list[Tensor | None],
        trainable_variables: list[Any] | None = None,
    ) -> None:
        """Updates the variables once.

        Args:
            task_gradients, kd_gradients: one for each variable, None where there is none. Of
                several replicas the gradients are summed.
            trainable_variables: by default, those the optimizer was built with.
        """
        pairs = [
            {kind: g for kind, g in ((TASK, task), (KD, kd)) if g is not None} or None
            for task, kd in zip(task_gradients, kd_gradients, strict=True)
        ]
        # A pair passes through Keras as one gradient: its all-reduce takes nested structures.
        super().apply(pairs, trainable_variables)

    def apply(
        self, grads: list[Tensor | None], trainable_variables: list[Any] | None = None
    ) -> None:
        """Updates the variables once with the task's gradients alone."""
        grads = list(grads)
        self.apply_two(grads, [None] * len(grads), trainable_variables)

    def update_step(self, gradient: dict[str, Tensor], variable: Any, learning_rate: Any) -> None:
        """One variable's update; `gradient` holds what there is of "task" and "kd"."""
        learning_rate = ops.cast(learning_rate, variable.dtype)
        spread = self.delta if len(gradient) == 2 else 0.0
        value = ops.convert_to_tensor(variable)
        if TASK in gradient:
            decayed = ops.cast(gradient[TASK], variable.dtype) + self._decay(variable) * value
            momentum = self._accumulated(TASK, decayed, variable, self.momentum - spread)
            self.assign_sub(variable, learning_rate * momentum)
        if KD in gradient:
            decayed = ops.cast(gradient[KD], variable.dtype)
            if TASK not in gradient:
                decay = self._decay(variable) * ops.cast(self._is_later(), variable.dtype)
                decayed = decayed + decay * value
            momentum = self._accumulated(KD, decayed, variable, self.momentum + spread)
            self.assign_sub(variable, learning_rate * momentum)

    def _accumulated(self, kind: str, gradient: Tensor, variable: Any, factor: float) -> Tensor:
        """The momentum after this step's gradient, which is also kept."""
        kept = self.momenta[kind][self._get_variable_index(variable)]
        if self.dampening:
            later = ops.cast(self._is_later(), variable.dtype)
            gradient = (1 - self.dampening * later) * gradient
        momentum = factor * ops.convert_to_tensor(kept) + gradient
        self.assign(kept, momentum)
        return momentum

    def _is_later(self) -> Tensor:
        return self.iterations > 0

    def _decay(self, variable: Any) -> float:
        return self.l2 if self._use_weight_decay(variable) else 0.0

    def get_config(self) -> dict[str, Any]:
        of_keras = ("name", "learning_rate", "use_ema", "ema_momentum", "ema_overwrite_frequency")
        config = super().get_config()
        return {
            **{key: config[key] for key in of_keras},
            "momentum": self.momentum,
            "delta": self.delta,
            "dampening": self.dampening,
            "weight_decay": self.l2,
        }
