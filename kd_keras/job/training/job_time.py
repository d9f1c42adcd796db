"""Estimates how long a whole job takes, from its first steps; corrects it by later ones."""

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from kd_keras.data.stores.store import Dataset
from kd_keras.distill.distiller import Distiller
from kd_keras.job import identity, plan
from kd_keras.job.images import training_images
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.models import cost
from kd_keras.results.terminal.screen import Screen

WAIT = 2.0  # seconds of training before the first estimate
CHANGE = 0.2  # share by which an estimate must change to be shown again
# A training step costs three forward passes: forward, gradient of inputs, gradient of weights.
_PASSES = 3
# Cost of a step of the smallest network in multiply-adds: about 10 ms on two CPU cores.
_LEAST_WORK = 250_000_000


@dataclasses.dataclass(frozen=True)
class Stage:
    """Phases that are trained side by side.

    Attributes:
        phases: names of the phases.
        steps: number of steps of the whole training.
        work: cost of a step in multiply-adds, to compare stages.
    """

    phases: tuple[str, ...]
    steps: int
    work: float


class JobTime:
    """Shows the time left of the whole job: once it is known, and when its length changes.

    Args:
        stages: what is trained, in order.
        models: number of models that are measured.
        screen: where lines are shown.
    """

    def __init__(self, stages: Sequence[Stage], models: int, screen: Screen):
        self._stages, self._models_left, self._screen = list(stages), models, screen
        self._begin = time.perf_counter()
        self._measuring: list[float] = []  # seconds for each measured model
        self._seconds_on_screen = 0.0  # seconds

    def watch(self, phases: Sequence[str], *, skipped: int = 0) -> "Pace":
        """A callback for the training of these phases, which are a stage or the rest of one.

        Args:
            phases: names of the phases.
            skipped: steps of the first epoch that were done before and take no time.
        """
        (stage,) = [stage for stage in self._stages if set(phases) & set(stage.phases)]
        share = len(phases) / len(stage.phases)
        return Pace(self, dataclasses.replace(stage, work=stage.work * share), skipped)

    def add_trained(self, phases: Sequence[str]) -> None:
        """These phases are finished, now or by an earlier call of the command."""
        self._stages = [stage for stage in self._stages if not set(phases) & set(stage.phases)]

    def add_measured(self, seconds: float | None) -> None:
        """Another model is measured; `seconds` is None if an earlier call measured it."""
        self._models_left -= 1
        self._measuring += [] if seconds is None else [seconds]

    def update(self, stage: Stage, seconds_per_step: float, steps_left: int) -> None:
        """Shows the time of the job at this speed, unless it is about the time shown before.

        Args:
            stage: the stage that is trained.
            seconds_per_step: its present speed.
            steps_left: number of its steps that are left.
        """
        later_stages = [
            later_stage for later_stage in self._stages if later_stage.phases != stage.phases
        ]
        later_seconds = (
            sum(later_stage.steps * later_stage.work for later_stage in later_stages)
            / stage.work
            * seconds_per_step
        )
        measuring_seconds = sum(self._measuring) / max(1, len(self._measuring))
        elapsed = time.perf_counter() - self._begin
        total = (
            elapsed
            + steps_left * seconds_per_step
            + later_seconds
            + self._models_left * measuring_seconds
        )
        if abs(total - self._seconds_on_screen) > CHANGE * self._seconds_on_screen:
            self._seconds_on_screen = total
            self._screen.say(f"time left: about {format_duration(total - elapsed)}")


class Pace(keras.callbacks.Callback):
    """Tells a `JobTime` how fast a stage trains; leaves out the first step, which compiles."""

    def __init__(self, job: JobTime, stage: Stage, skipped: int = 0):
        super().__init__()
        self._job, self._stage = job, stage
        self._skipped, self._epoch = skipped, 0
        self._first: tuple[int, float] | None = None  # number of steps, and time
        self._waiting = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._waiting and batch > self._skipped:
            self._update(self._epoch * self.params["steps"] + batch, min_seconds=WAIT)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._skipped = 0
        self._update((epoch + 1) * self.params["steps"], min_seconds=0.0)

    def _update(self, steps_so_far: int, *, min_seconds: float) -> None:
        time_now = time.perf_counter()
        if self._first is None:
            self._first = steps_so_far, time_now
            return
        steps, seconds = steps_so_far - self._first[0], time_now - self._first[1]
        if steps and seconds >= min_seconds:
            self._waiting = False
            self._job.update(self._stage, seconds / steps, self._stage.steps - steps_so_far)


def run_time(
    recipe: Recipe,
    data: Dataset,
    teachers: Mapping[str, keras.Model],
    rounds: Sequence[Mapping[str, Distiller]],
    screen: Screen,
) -> JobTime:
    """The time of a run of the recipe.

    Args:
        recipe: the recipe.
        data: the dataset.
        teachers: models by phase.
        rounds: Distillers by phase for each of `plan.rounds`.
        screen: where lines are shown.
    """
    stages = _stages(recipe, data, teachers, rounds)
    learners = [phase for group in rounds for phase in group]
    baselines = plan.baselines(recipe) if recipe.baseline else []
    mean = len(teachers) > 1
    return JobTime(stages, len(teachers) + mean + len(baselines) + len(learners), screen)


def _stages(
    recipe: Recipe,
    data: Dataset,
    teachers: Mapping[str, keras.Model],
    rounds: Sequence[Mapping[str, Distiller]],
) -> list[Stage]:
    """What a run trains, in order.

    Args:
        recipe: the recipe.
        data: the dataset.
        teachers: models by phase.
        rounds: Distillers by phase for each of `plan.rounds`.
    """
    steps = training_images.steps_per_epoch(recipe, data, teacher=False)
    teacher_steps = training_images.steps_per_epoch(recipe, data, teacher=True)

    def stage(
        phases: Iterable[str], steps: int, students: Iterable[Any], teacher_work: float
    ) -> Stage:
        work_per_image = _PASSES * sum(map(_work, students)) + teacher_work
        work = _LEAST_WORK + recipe.images_per_step * work_per_image
        return Stage(tuple(phases), steps, work)

    stages = [
        stage(
            [m.phase], recipe.teacher_epochs * teacher_steps, [teachers[m.phase]], teacher_work=0.0
        )
        for m in plan.teachers(recipe)
        if m.phase in teachers and not identity.is_file(m.spec)
    ]
    if recipe.baseline:
        student_by_spec = {m.spec: rounds[-1][m.phase].student for m in plan.students(recipe)}
        baselines = plan.baselines(recipe)
        students = [student_by_spec[model.spec] for model in baselines]
        phases = [model.phase for model in baselines]
        stages.append(stage(phases, recipe.epochs * steps, students, teacher_work=0.0))
    # To make a cache, the teacher runs once over each view.
    passes = min(recipe.views, recipe.epochs) if recipe.views and recipe.cache != "never" else None
    share = 1.0 if passes is None else passes / recipe.epochs
    for group in rounds:
        students = [distiller.student for distiller in group.values()]
        teacher = next(iter(group.values())).teacher
        teacher_work = share * _work(teacher)
        stages.append(stage(group, recipe.epochs * steps, students, teacher_work=teacher_work))
    return stages


def _work(model: Any) -> float:
    """Multiply-adds of a forward pass per image; 0 if unknown or if no model runs."""
    if not isinstance(model, keras.Model):
        return 0.0
    try:
        return float(cost.macs(model))
    except ValueError:
        return 0.0


def format_duration(seconds: float) -> str:
    """A rounded time: "40 seconds", "12 minutes", "3.5 hours"."""
    if seconds < 57.5:
        return f"{max(5, 5 * round(seconds / 5))} seconds"
    if seconds < 5400:
        minutes = max(1, round(seconds / 60))
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{seconds / 3600:.1f} hours"
