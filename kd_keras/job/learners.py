"""The models of a run: its teachers, and a Distiller for each that learns, before any training."""

from collections.abc import Callable
from typing import Any

import keras

from kd_keras.data.store import Dataset
from kd_keras.distill.distiller import Distiller
from kd_keras.job import build, cached_teacher, plan
from kd_keras.job.plan import Trained
from kd_keras.job.recipe_files import Recipe
from kd_keras.methods import base
from kd_keras.teacher_cache.reader import Cache


class Cast:
    """Made in a strategy's scope; what does not fit together is said now.

    Attributes:
        teachers: every teacher that is a model, by its phase; none where nobody learns from one.
        teacher: what the first round learns from: a model (of several teachers, their mean), or a
            cache of what one said; None where nobody learns from a teacher.
        rounds: Distillers by phase, as in `lineage.rounds`.

    Args:
        asked: the run's recipe.
        data: what is trained on.
        precision: of every training.

    Raises:
        ValueError, FileNotFoundError: a model, method or cache that does not fit.
    """

    def __init__(self, asked: Recipe, data: Dataset, *, precision: str):
        self.asked, self.data, self.precision = asked, data, precision
        self.teachers = self._teachers()
        self.teacher = self._teacher()
        self.rounds: list[dict[str, Distiller]] = []
        teacher: keras.Model | Cache | None = self.teacher
        for models in plan.rounds(asked):
            made = {model.phase: self._learner(model, teacher) for model in models}
            teacher = next(iter(made.values())).deployed
            self.rounds.append(made)

    def baselines(self) -> dict[str, Distiller]:
        """The students alone, each from the weights that it is distilled from."""
        return {m.phase: self._learner(m, None) for m in plan.baselines(self.asked)}

    def _teachers(self) -> dict[str, keras.Model]:
        if not build.has_teacher(self._methods()) or build.cache_of(self.asked):
            return {}
        return {
            model.phase: _seeded(
                model.seed, build.make_one_teacher, model.spec, self.asked, self.data
            )
            for model in plan.teachers(self.asked)
        }

    def _teacher(self) -> keras.Model | Cache | None:
        if self.teachers:
            return build.as_one(list(self.teachers.values()), self.asked)
        methods = self._methods()
        if not build.has_teacher(methods):
            return None
        views = base.views_per_image(methods)
        return cached_teacher.from_cache(self.asked, self.data, views_per_image=views)

    def _learner(self, model: Trained, teacher: keras.Model | Cache | None) -> Distiller:
        methods = self._methods(model.methods) if model.methods else []
        weights = self.asked.weights
        student = _seeded(model.seed, build.make, model.spec, self.data, weights)
        try:
            return Distiller(
                student,
                teacher=teacher if build.has_teacher(methods) else None,
                methods=methods,
                ce_weight=self.asked.ce_weight if methods else None,
                label_smoothing=self.asked.label_smoothing,
                precision=self.precision,
                validate_teacher=self.asked.validate_teacher and bool(methods),
            )
        except ValueError as error:
            raise ValueError(f"{model.phase} ({model.spec}): {error}") from error

    def _methods(self, specs: tuple[str, ...] | None = None) -> list[Any]:
        """The methods of these specs, or all of the recipe's."""
        examples = len(self.data.train.images)
        return build.make_methods(self.asked, specs, num_examples=examples)


def _seeded(seed: int, make: Callable[..., Any], *given: Any) -> Any:
    """What `make` gives when the seed is fresh: the same weights for every student of the seed."""
    keras.utils.set_random_seed(seed)
    return make(*given)
