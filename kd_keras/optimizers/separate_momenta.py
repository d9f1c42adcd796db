"""SGD with a momentum of its own for each part of the loss: what DOT and DeepKD share."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypedDict

import keras
from keras import ops

from kd_keras import check
from kd_keras.tensor_types import Tensor

Gradients = Sequence[Tensor | None]
TASK = "task"  # the part that every such optimizer has


class CommonOptions(TypedDict, total=False):
    """Arguments that every such optimizer takes; they are named in their docstrings."""

    dampening: float
    weight_decay: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None


@check.naming_errors
class SeparateMomenta(keras.optimizers.Optimizer):
    """Base class: one momentum variable for each trained variable and part of the loss.

    A subclass names the parts in `gradient_parts` and updates a variable in `update_step`, whose
    `gradient` is a dict by part, without the parts that do not depend on the variable.

    Args:
        learning_rate: float, schedule, or function without arguments.
        momentum: >= 0 and < 1. Keras's SGD takes 1 too, at which no gradient ever fades.
        dampening: share of each gradient after the first, 0 to 1, that momentum does not include.
        weight_decay: factor, >= 0, of the L2 penalty's gradient; None for none.
        global_clipnorm: largest norm of the sum of all parts, over all variables; None for any.
        use_ema, ema_momentum, ema_overwrite_frequency, name: as in every Keras optimizer.

    Raises:
        ValueError: a number is out of range, or another argument of a Keras optimizer is given,
            such as `clipnorm`.
    """

    #: Parts of the loss whose gradients a Distiller passes separately to `apply_parts`. "task" is
    #: the weighted cross-entropy and the regularisers, "distillation" the weighted losses of the
    #: methods; "target" and "nontarget" are the two parts of these losses, as dkd has them.
    gradient_parts: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        learning_rate: Any,
        *,
        momentum: float,
        name: str,
        dampening: float = 0.0,
        weight_decay: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        **others: Any,
    ):
        refused = [f"{option}={value!r}" for option, value in others.items() if value is not None]
        if refused:
            allowed = ", ".join(CommonOptions.__annotations__)
            raise ValueError(
                f"{', '.join(refused)} is given; expected no arguments but its own and {allowed}, "
                "since one update has several gradients. To clip their sum, use global_clipnorm."
            )
        # Keras's own weight decay is decoupled from the gradient; this one is not.
        super().__init__(
            learning_rate,
            name=name,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
        )
        self.momentum = check.number("momentum", momentum, at_least=0)
        if self.momentum >= 1:
            raise ValueError(
                f"momentum is {momentum!r}; expected a finite number >= 0 and < 1, since a "
                "momentum of 1 never fades. Lower it."
            )
        self.dampening = check.number("dampening", dampening, at_least=0, at_most=1)
        self.l2 = check.number("weight_decay", weight_decay or 0.0, at_least=0)

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        check.naming_errors(cls)

    def build(self, variables: list[Any]) -> None:
        """Makes the momenta of every variable, initially zero."""
        if self.built:
            return
        super().build(variables)
        self.momenta = {
            part: self.add_optimizer_variables(variables, f"{part}_momentum")
            for part in self.gradient_parts
        }

    def apply_parts(
        self, gradients: Mapping[str, Gradients], trainable_variables: list[Any] | None = None
    ) -> None:
        """Updates the variables once; a variable without any gradient is left alone.

        Args:
            gradients: by name of the part, a gradient or None for each variable. Parts of
                `gradient_parts` may be absent. Gradients of several replicas are summed.
            trainable_variables: variables to update; None: those the optimizer was built with.

        Raises:
            ValueError: a name that is not in `gradient_parts`.
        """
        for part in gradients:
            check.one_of("gradient part", part, self.gradient_parts)
        gradient_groups = [
            {part: g for part, g in zip(gradients, row, strict=True) if g is not None} or None
            for row in zip(*gradients.values(), strict=True)
        ]
        # A group passes through Keras as one gradient: its all-reduce takes nested structures.
        super().apply(gradient_groups, trainable_variables)

    def apply(
        self, grads: list[Tensor | None], trainable_variables: list[Any] | None = None
    ) -> None:
        """Updates the variables once with the task's gradients alone."""
        self.apply_parts({TASK: list(grads)}, trainable_variables)

    def update_momentum(self, part: str, gradient: Tensor, variable: Any, factor: float) -> Tensor:
        """Updates the stored momentum with this step's gradient, and returns it."""
        stored_momentum = self.momenta[part][self._get_variable_index(variable)]
        if self.dampening:
            gradient = (1 - self.dampening * self.after_first_step(variable)) * gradient
        momentum = factor * ops.convert_to_tensor(stored_momentum) + gradient
        self.assign(stored_momentum, momentum)
        return momentum

    def after_first_step(self, variable: Any) -> Tensor:
        """1 from the second step on, otherwise 0, in the variable's dtype."""
        return ops.cast(self.iterations > 0, variable.dtype)

    def decay(self, variable: Any) -> float:
        """Factor of the L2 penalty's gradient; 0 for variables that weight decay leaves out."""
        return self.l2 if self._use_weight_decay(variable) else 0.0

    def clipped(self, gradient_groups: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
        """The gradients of each variable by part, all times one factor.

        So the norm of their sum, over all variables, is at most `global_clipnorm`.
        """
        if not self.global_clipnorm:
            return gradient_groups
        sums = [sum(group.values()) for group in gradient_groups]
        norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(g, "float32"))) for g in sums))
        factor = self.global_clipnorm / ops.maximum(norm, self.global_clipnorm)
        return [
            {part: g * ops.cast(factor, g.dtype) for part, g in group.items()}
            for group in gradient_groups
        ]

    def _clip_gradients(self, grads: Any) -> Any:  # Keras's takes one gradient of each variable
        return self.clipped(grads)

    def get_config(self) -> dict[str, Any]:
        keras_options = (
            *("name", "learning_rate", "global_clipnorm"),
            *("use_ema", "ema_momentum", "ema_overwrite_frequency"),
        )
        config = super().get_config()
        return {
            **{key: config[key] for key in keras_options},
            "momentum": self.momentum,
            "dampening": self.dampening,
            "weight_decay": self.l2,
        }
