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

from typing import Any, Unpack

import keras
from keras import ops

from kd_keras import check
from kd_keras.optimizers.separate_momenta import TASK, CommonOptions, SeparateMomenta
from kd_keras.tensor_types import Tensor

TARGET, NONTARGET = "target", "nontarget"
# For each part: a gradient with which it takes its own momentum, and another part whose momentum it
# takes otherwise, if that has a gradient.
_PARTNERS = {TASK: (TARGET, NONTARGET), NONTARGET: (TASK, TARGET), TARGET: (TASK, NONTARGET)}


@keras.saving.register_keras_serializable(package="kd_keras")
class DeepKD(SeparateMomenta):
    """SGD with one momentum each for the gradients of task, target part and nontarget part.

    Use `apply_parts`. `apply` and `apply_gradients` treat their gradients as the task's.

    Args:
        learning_rate: float, schedule, or function without arguments.
        momentum: >= 0 and < 1; each delta is added to it, and the sum is in the same range.
        task_delta, target_delta, nontarget_delta: differences of the three momenta, -1 to 1.
        dampening: share of each gradient after the first, 0 to 1, that momentum does not include.
        weight_decay: factor, >= 0, of the L2 penalty's gradient; None for none.
        as_coded: whether the task takes the target part's momentum, as in the authors' code.
        global_clipnorm: largest norm of the sum of all gradients, which keep their shares.
        use_ema, ema_momentum, ema_overwrite_frequency, name: as in every Keras optimizer.

    Raises:
        ValueError: a number is out of range, or another argument of a Keras optimizer is given,
            such as `clipnorm`.
    """

    gradient_parts = (TASK, NONTARGET, TARGET)  # in the order of their updates

    def __init__(
        self,
        learning_rate: Any = 0.05,
        *,
        momentum: float = 0.9,
        task_delta: float = 0.075,
        target_delta: float = -0.075,
        nontarget_delta: float = 0.075,
        as_coded: bool = False,
        name: str = "deepkd",
        **common: Unpack[CommonOptions],
    ):
        super().__init__(learning_rate, momentum=momentum, name=name, **common)
        self.deltas = {
            TASK: check.number("task_delta", task_delta, at_least=-1, at_most=1),
            TARGET: check.number("target_delta", target_delta, at_least=-1, at_most=1),
            NONTARGET: check.number("nontarget_delta", nontarget_delta, at_least=-1, at_most=1),
        }
        for part, delta in self.deltas.items():
            if not 0 <= self.momentum + delta < 1:
                raise ValueError(
                    f"momentum is {momentum!r} and {part}_delta {delta!r}; expected a sum >= 0 and "
                    "< 1, since a momentum of 1 never fades. Change one of them."
                )
        self.as_coded = check.one_of("as_coded", as_coded, (True, False))

    def update_step(self, gradient: dict[str, Tensor], variable: Any, learning_rate: Any) -> None:
        """Updates one variable; `gradient` has some of the keys "task", "target", "nontarget"."""
        learning_rate = ops.cast(learning_rate, variable.dtype)
        for part in self.gradient_parts:
            if part in gradient:
                value = ops.convert_to_tensor(variable)
                decay = self._decay_of(part, {*gradient}, variable)
                decayed_gradient = ops.cast(gradient[part], variable.dtype) + decay * value
                factor = self._factor(part, {*gradient})
                momentum = self.update_momentum(part, decayed_gradient, variable, factor)
                self.assign_sub(variable, learning_rate * momentum)

    def _factor(self, part: str, present_parts: set[str]) -> float:
        """The momentum that a part's gradient has beside the others that are present."""
        partner, substitute = _PARTNERS[part]
        if partner in present_parts:
            own_part = TARGET if part == TASK and self.as_coded else part
            return self.momentum + self.deltas[own_part]
        if substitute in present_parts:
            return self.momentum + self.deltas[substitute]
        return self.momentum + sum(self.deltas.values()) / len(self.deltas)

    def _decay_of(self, part: str, present_parts: set[str], variable: Any) -> Any:
        """Factor of the L2 penalty's gradient that is added to this part's gradient."""
        l2 = self.decay(variable)
        if not l2:
            return 0.0
        if part == TARGET:
            return l2 * (1 + self.after_first_step(variable)) if present_parts == {TARGET} else l2
        return l2 * self.after_first_step(variable) if present_parts == {NONTARGET} else 0.0

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **{f"{part}_delta": delta for part, delta in self.deltas.items()},
            "as_coded": self.as_coded,
        }
