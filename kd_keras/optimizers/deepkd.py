"""DeepKD: SGD with separate momenta for the task and for both parts of decoupled soft targets.

A variable that has all three gradients is updated with, one after the other and each at once,
    task = (momentum + task_delta) * task + task gradient
    nontarget = (momentum + nontarget_delta) * nontarget + nontarget gradient
    target = (momentum + target_delta) * target + (target gradient + weight_decay * variable)
    variable -= learning_rate * each of them
The more even a gradient is from step to step, the longer its momentum may last.

Source: Huang et al. 2025, "DeepKD: A Deeply Decoupled and Denoised Knowledge Distillation Trainer",
arXiv:2505.15133, as in the authors' code, including its special cases. One thing differs: there the
task takes the target part's momentum where a variable has a gradient of that part; the paper gives
the task its own, and so does this class. as_coded=True does as their code. A variable without all
three gradients takes these momenta:
    task: its own with a target gradient, else that of nontarget with one, else the mean of all;
    nontarget: its own with a task gradient, else that of target with one, else the mean;
    target: its own with a task gradient, else that of nontarget with one, else the mean.
Weight decay is part of the target's gradient (not decoupled); twice from the second step on where
that is the only one. A variable with only a nontarget gradient decays from the second step on, one
without either does not decay. Dampening starts at the second step. In a Distiller, its method is
`dkd`. The authors' mask of unlikely classes (top-k) is not part of it.
"""

from typing import Any

import keras
from keras import ops

from kd_keras import check
from kd_keras.losses import Tensor

TASK, TARGET, NONTARGET = "task", "target", "nontarget"
KINDS = (TASK, NONTARGET, TARGET)  # in the order of their updates
# For each kind: a gradient with which it takes its own momentum, and another kind whose momentum it
# takes otherwise, if that has a gradient.
_PARTNERS = {TASK: (TARGET, NONTARGET), NONTARGET: (TASK, TARGET), TARGET: (TASK, NONTARGET)}


@keras.saving.register_keras_serializable(package="kd_keras")
class DeepKD(keras.optimizers.Optimizer):
    """SGD with one momentum each for the gradients of task, target part and nontarget part.

    Use `apply_three`. `apply` and `apply_gradients` treat their gradients as the task's.

    Args:
        learning_rate: float, schedule, or function without arguments.
        momentum: >= 0 and < 1; each delta is added to it, and the sum is in the same range.
        task_delta, target_delta, nontarget_delta: differences of the three momenta, -1 to 1.
        dampening: share of each gradient after the first, 0 to 1, that momentum does not include.
        weight_decay: factor, >= 0, of the L2 penalty's gradient; None for none.
        as_coded: whether the task takes the target part's momentum, as in the authors' code.
        use_ema, ema_momentum, ema_overwrite_frequency, name: as in every Keras optimizer.
    """

    #: Tells the Distiller to pass the three gradients separately.
    three_gradients = True

    def __init__(
        self,
        learning_rate: Any = 0.05,
        *,
        momentum: float = 0.9,
        task_delta: float = 0.075,
        target_delta: float = -0.075,
        nontarget_delta: float = 0.075,
        dampening: float = 0.0,
        weight_decay: float | None = None,
        as_coded: bool = False,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        name: str = "deepkd",
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
        self.deltas = {
            TASK: check.number("task_delta", task_delta, at_least=-1, at_most=1),
            TARGET: check.number("target_delta", target_delta, at_least=-1, at_most=1),
            NONTARGET: check.number("nontarget_delta", nontarget_delta, at_least=-1, at_most=1),
        }
        for kind, delta in self.deltas.items():
            if not 0 <= self.momentum + delta < 1:
                raise ValueError(
                    f"momentum is {momentum!r} and {kind}_delta {delta!r}; expected a sum >= 0 and "
                    "< 1, since a momentum of 1 never fades. Change one of them."
                )
        self.dampening = check.number("dampening", dampening, at_least=0, at_most=1)
        self.l2 = check.number("weight_decay", weight_decay or 0.0, at_least=0)
        self.as_coded = check.one_of("as_coded", as_coded, (True, False))

    def build(self, variables: list[Any]) -> None:
        """Makes the three momenta of every variable, initially zero."""
        if self.built:
            return
        super().build(variables)
        self.momenta = {
            kind: self.add_optimizer_variables(variables, f"{kind}_momentum") for kind in KINDS
        }

    def apply_three(
        self,
        task_gradients: list[Tensor | None],
        target_gradients: list[Tensor | None],
        nontarget_gradients: list[Tensor | None],
        trainable_variables: list[Any] | None = None,
    ) -> None:
        """Updates the variables once.

        Args:
            task_gradients, target_gradients, nontarget_gradients: one for each variable, or None.
                Gradients of several replicas are summed.
            trainable_variables: variables to update; None: those the optimizer was built with.
        """
        kinds = (TASK, TARGET, NONTARGET)
        triples = [
            {kind: g for kind, g in zip(kinds, of, strict=True) if g is not None} or None
            for of in zip(task_gradients, target_gradients, nontarget_gradients, strict=True)
        ]
        # A triple passes through Keras as one gradient: its all-reduce takes nested structures.
        super().apply(triples, trainable_variables)

    def apply(
        self, grads: list[Tensor | None], trainable_variables: list[Any] | None = None
    ) -> None:
        """Updates the variables once with the task's gradients alone."""
        grads = list(grads)
        none: list[Tensor | None] = [None] * len(grads)
        self.apply_three(grads, none, none, trainable_variables)

    def update_step(self, gradient: dict[str, Tensor], variable: Any, learning_rate: Any) -> None:
        """Updates one variable; `gradient` has some of the keys "task", "target", "nontarget"."""
        learning_rate = ops.cast(learning_rate, variable.dtype)
        for kind in KINDS:
            if kind in gradient:
                value = ops.convert_to_tensor(variable)
                decayed = ops.cast(gradient[kind], variable.dtype)
                decayed = decayed + self._decay(kind, {*gradient}, variable) * value
                momentum = self._accumulated(kind, decayed, variable, {*gradient})
                self.assign_sub(variable, learning_rate * momentum)

    def _accumulated(self, kind: str, gradient: Tensor, variable: Any, present: set[str]) -> Tensor:
        """Updates the stored momentum with this step's gradient, and returns it."""
        stored = self.momenta[kind][self._get_variable_index(variable)]
        if self.dampening:
            gradient = (1 - self.dampening * self._is_later(variable)) * gradient
        momentum = self._factor(kind, present) * ops.convert_to_tensor(stored) + gradient
        self.assign(stored, momentum)
        return momentum

    def _factor(self, kind: str, present: set[str]) -> float:
        """The momentum that a kind of gradient has beside the others that are present."""
        partner, substitute = _PARTNERS[kind]
        if partner in present:
            of = TARGET if kind == TASK and self.as_coded else kind
            return self.momentum + self.deltas[of]
        if substitute in present:
            return self.momentum + self.deltas[substitute]
        return self.momentum + sum(self.deltas.values()) / len(self.deltas)

    def _decay(self, kind: str, present: set[str], variable: Any) -> Any:
        """Factor of the L2 penalty's gradient that is added to this kind of gradient."""
        if not self.l2 or not self._use_weight_decay(variable):
            return 0.0
        if kind == TARGET:
            return self.l2 * (1 + self._is_later(variable)) if present == {TARGET} else self.l2
        return self.l2 * self._is_later(variable) if present == {NONTARGET} else 0.0

    def _is_later(self, variable: Any) -> Tensor:
        """1 from the second step on, otherwise 0, in the variable's dtype."""
        return ops.cast(self.iterations > 0, variable.dtype)

    def get_config(self) -> dict[str, Any]:
        of_keras = ("name", "learning_rate", "use_ema", "ema_momentum", "ema_overwrite_frequency")
        config = super().get_config()
        return {
            **{key: config[key] for key in of_keras},
            "momentum": self.momentum,
            **{f"{kind}_delta": delta for kind, delta in self.deltas.items()},
            "dampening": self.dampening,
            "weight_decay": self.l2,
            "as_coded": self.as_coded,
        }
