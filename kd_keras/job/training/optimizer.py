"""The optimizer of a recipe, with its schedule, and the precision that it can work in."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from kd_keras.distill.step import accumulation, gradients, objective
from kd_keras.graph import taps
from kd_keras.graph.precision import best_precision, native_precisions
from kd_keras.job import identity
from kd_keras.job.models import build
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.methods.parts import refusals
from kd_keras.optimizers import deepkd, dot, muon, schedules
from kd_keras.results.terminal.screen import Screen

SGD_NESTEROV = True
BY_PARTS = ("dot", "deepkd")  # take the gradients of several parts of the loss separately


def make(
    recipe: Recipe,
    learning_rate: float,
    *,
    epochs: int,
    steps: int,
    model: keras.Model | None = None,
    methods: Sequence[Any] = (),
) -> keras.Optimizer:
    """The recipe's optimizer for one model, with its schedule.

    Args:
        recipe: the recipe.
        learning_rate: highest learning rate.
        epochs: epochs of the training.
        steps: steps of an epoch, `recipe.accumulate` for each update.
        model: what is trained; muon leaves its last layer to Adam.
        methods: what the model learns from beside labels. Without any, deepkd is SGD with one
            momentum, and the L2 penalty in the gradient, as in the authors' trainer of such models.
    """
    updates = epochs * steps // recipe.accumulate
    warmup = round(recipe.warmup_epochs * steps / recipe.accumulate)
    warmup = max(warmup, 1) if recipe.warmup_epochs else 0
    settings: dict[str, Any] = {
        "learning_rate": schedules.get(
            recipe.schedule,
            learning_rate,
            updates,
            warmup_steps=min(warmup, updates - 1),
            final=recipe.final_learning_rate or 0.0,
            accumulate=recipe.accumulate,
        ),
        "weight_decay": recipe.weight_decay or None,
        "global_clipnorm": recipe.clip_norm,
        "use_ema": bool(recipe.ema),
        "ema_momentum": recipe.ema or 0.99,
    }
    if recipe.optimizer == "deepkd" and methods:
        return deepkd.DeepKD(
            momentum=recipe.momentum,
            task_delta=recipe.delta,
            target_delta=-recipe.delta,
            nontarget_delta=recipe.delta,
            **settings,
        )
    if recipe.optimizer in BY_PARTS:
        delta = recipe.delta if recipe.optimizer == "dot" else 0.0
        return dot.DOT(momentum=recipe.momentum, delta=delta, **settings)
    optimizer = _keras_optimizer(recipe, settings, model)
    if recipe.ema and recipe.accumulate > 1:
        accumulation.average_after_updates(optimizer)
    return optimizer


def _keras_optimizer(
    recipe: Recipe, settings: dict[str, Any], model: keras.Model | None
) -> keras.Optimizer:
    """The recipe's optimizer, if it takes one gradient.

    Args:
        recipe: the recipe.
        settings: arguments that all optimizers take.
        model: the model, whose last layer muon leaves to Adam; None: unknown.
    """
    settings["gradient_accumulation_steps"] = recipe.accumulate if recipe.accumulate > 1 else None
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(momentum=recipe.momentum, nesterov=SGD_NESTEROV, **settings)
    if recipe.optimizer == "adamw":
        return keras.optimizers.AdamW(**{**settings, "weight_decay": recipe.weight_decay})
    if recipe.optimizer == "lamb":
        return keras.optimizers.Lamb(**settings)
    if recipe.optimizer == "lion":
        return keras.optimizers.Lion(**settings)
    if recipe.optimizer == "muon":
        return muon.make([] if model is None else _last_layers(model), **settings)
    return keras.optimizers.Adam(**settings)


def check(recipe: Recipe) -> None:
    """Raises ValueError if the recipe's optimizer cannot be made for one of its trainings."""
    methods = build.make_methods(recipe.method)
    for field, (epochs, rates) in _trainings(recipe, methods).items():
        if recipe.warmup_epochs >= epochs:
            raise ValueError(
                f"warmup_epochs is {recipe.warmup_epochs:g} and {field} {epochs}; expected a "
                "warm-up shorter than the training. Lower --warmup-epochs, or train for more "
                "epochs."
            )
        for rate in rates:
            steps = 2 * recipe.accumulate  # of some epoch
            example = make(recipe, rate, epochs=epochs, steps=steps, methods=methods)
    gradient_parts = gradients.gradient_parts(example)
    if objective.objective_class(gradient_parts) is objective.DecoupledObjective:
        refusals.require_parts(methods)
    if gradient_parts and precision(recipe) == "mixed_float16":
        raise ValueError(
            f"the optimizer is {recipe.optimizer} and the precision mixed_float16, which needs "
            f"loss scaling; expected another precision for {recipe.optimizer}, which has none. "
            "Give --precision mixed_bfloat16 or float32."
        )


def notes(recipe: Recipe, students: Iterable[keras.Model]) -> list[str]:
    """Sentences on what the recipe's optimizer does not do for these models.

    Args:
        recipe: the run's recipe; its optimizer counts.
        students: the models that it trains.
    """
    if recipe.optimizer in BY_PARTS and recipe.method == ("none",):
        name = recipe.optimizer
        return [f"optimizer {name} has one gradient without a method: it is SGD with momentum"]
    if recipe.optimizer != "muon":
        return []
    lines = []
    for student in students:
        optimizer = make(recipe, recipe.learning_rate, epochs=2, steps=2, model=student)
        if not any(muon.uses_muon(optimizer, variable) for variable in student.trainable_variables):
            lines.append(
                f"optimizer muon is AdamW for {student.name}: Keras's Muon updates kernels of "
                "dense layers only, without the last layer's, and it has none"
            )
    return lines


def _trainings(recipe: Recipe, methods: Sequence[Any]) -> dict[str, tuple[int, list[float]]]:
    """By the field of their epochs, the epochs and learning rates of what is trained."""
    rate = recipe.learning_rate
    baseline_rates = [recipe.baseline_learning_rate or rate] if recipe.baseline else []
    trainings = {"epochs": (recipe.epochs, [rate, *baseline_rates])}
    teacher_specs = [] if identity.cache_of(recipe) else recipe.teacher
    if build.has_teacher(methods) and not all(map(identity.is_file, teacher_specs)):
        teacher_rate = recipe.teacher_learning_rate or rate
        trainings["teacher_epochs"] = (recipe.teacher_epochs, [teacher_rate])
    return trainings


def _last_layers(model: keras.Model) -> list[str]:
    """Paths of the layers with weights that give the logits."""
    return [layer.path for layer in taps.tail(model) if getattr(layer, "weights", None)]


def precision(recipe: Recipe) -> str:
    """The recipe's precision, chosen for this machine if "auto"."""
    if recipe.precision != "auto":
        return recipe.precision
    best_here = best_precision()
    # needs loss scaling, which dot and deepkd do not support
    needs_scaling = best_here == "mixed_float16"
    return "float32" if needs_scaling and recipe.optimizer in BY_PARTS else best_here


def warn_of_slow_precision(precision: str, screen: Screen) -> None:
    """Warns if this machine has no hardware support for a precision."""
    if precision not in native_precisions():
        screen.warn(
            f"precision {precision} has no hardware support on this machine: results are correct, "
            f"training is slow; --precision auto takes {best_precision()}"
        )
