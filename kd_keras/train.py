"""The whole job of `kdk train`, in reading order: data, teacher, baseline, student, results."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from kd_keras import (
    callbacks,
    classifiers,
    dataset,
    fitting,
    lineage,
    report,
    strategy,
    teacher_rows,
)
from kd_keras.cache.reading import Cache
from kd_keras.data import pipeline
from kd_keras.distiller import Distiller
from kd_keras.methods import base
from kd_keras.once import Once
from kd_keras.phases import RunFolder
from kd_keras.recipe import Recipe
from kd_keras.screen import Screen

WEAK_TEACHER = 3  # times chance: a teacher below has little to teach


def run(
    asked: Recipe,
    *,
    run: str | None = None,
    export_dir: str = "saved_models",
    screen: Screen | None = None,
) -> dict[str, Any]:
    """Does what the recipe says and returns what `results.json` of the run folder holds.

    A finished run only shows its results again; a finished phase is not redone.

    Args:
        asked: the run's recipe.
        run: name or path of the run folder; None takes the name that follows from the recipe.
        export_dir: where the student's SavedModel goes, in a folder of the run's name.
        screen: where lines, bars and tables go.

    Raises:
        ValueError, FileNotFoundError, OSError: what is wrong, what was expected, what to do.
    """
    screen = screen or Screen()
    folder = RunFolder(asked, run)
    results = folder.results()
    if results is None:
        results = _Run(asked, folder, Path(export_dir).expanduser(), screen).results()
    else:
        folder.check_same_facts(classifiers.identities(asked))
        screen.say(f"{folder.path} is a finished run of this recipe; these are its results.")
    _show(results, folder, screen)
    return results


class _Run:
    """A run that is not finished: everything is checked before anything is written or trained."""

    def __init__(self, asked: Recipe, folder: RunFolder, export_dir: Path, screen: Screen):
        self.asked, self.folder, self.screen = asked, folder, screen
        self.export = export_dir / folder.name
        classifiers.check_names(asked)
        fitting.check_optimizer(asked)
        if asked.optimizer == "dot" and asked.method == ("none",):
            screen.warn("optimizer dot has one gradient without a method: it is SGD with momentum")
        folder.check_export(self.export)
        self.strategy = strategy.get(asked.devices)
        self.precision = fitting.precision(asked)
        self.data = dataset.load(asked, screen)
        pipeline.steps_per_epoch(self.data.train, asked.batch_size)
        self.facts = self._facts()
        folder.check_same_facts(self.facts)
        self.once = Once(asked, self.data, folder, screen)
        with self.strategy.scope():
            self.teachers = self._make_teachers()
            self.teacher = self._one_teacher()
            self.learners = self._make_learners()
        for model in lineage.teachers(asked):
            if self.teachers and classifiers.is_file(model.spec):
                self._check_teacher(model.phase)
        if isinstance(self.teacher, Cache):
            self.cache_top1 = self._check_cache(self.teacher)

    def results(self) -> dict[str, Any]:
        self._start()
        results = self._teach()
        results["baseline"] = self._baseline() if self.asked.baseline else None
        results |= self._learn()
        results["data"] = {"summary": self.data.summary(), "selected": self.asked.select}
        self._report(results)
        return results

    def _facts(self) -> dict[str, Any]:
        """What the phases of a run folder have in common, for its provenance."""
        return {
            "data": self.data.fingerprint,
            **classifiers.identities(self.asked),
            "precision": self.precision,
            "replicas": self.strategy.num_replicas_in_sync,
        }

    def _make_teachers(self) -> dict[str, keras.Model]:
        """Every teacher by its phase; none where no method learns from one."""
        if not classifiers.has_teacher(self._methods()) or classifiers.cache_of(self.asked):
            return {}
        return {
            model.phase: _seeded(
                model.seed, classifiers.make_one_teacher, model.spec, self.asked, self.data
            )
            for model in lineage.teachers(self.asked)
        }

    def _one_teacher(self) -> keras.Model | Cache | None:
        """What the first learner learns from: a model, or a cache of what one said."""
        if self.teachers:
            return classifiers.as_one(list(self.teachers.values()), self.asked)
        methods = self._methods()
        if not classifiers.has_teacher(methods):
            return None
        return teacher_rows.from_cache(
            self.asked, self.data, views_per_image=base.views_per_image(methods)
        )

    def _make_learners(self) -> list[Distiller]:
        """A Distiller for each that learns, all made now, so that what does not fit is said now."""
        made: list[Distiller] = []
        for model in lineage.learners(self.asked):
            teacher = made[-1].deployed if made else self.teacher
            try:
                made.append(self._distiller(model, self._methods(), teacher))
            except ValueError as error:
                raise ValueError(f"{model.phase} ({model.spec}): {error}") from error
        return made

    def _methods(self) -> list[Any]:
        return classifiers.make_methods(self.asked, num_examples=len(self.data.train.images))

    def _distiller(
        self, model: lineage.Trained, methods: list[Any], teacher: keras.Model | Cache | None
    ) -> Distiller:
        weights = self.asked.weights
        student = _seeded(model.seed, classifiers.make, model.spec, self.data, weights)
        return Distiller(
            student,
            teacher,
            methods,
            ce_weight=self.asked.ce_weight if methods else None,
            label_smoothing=self.asked.label_smoothing,
            precision=self.precision,
        )

    def _start(self) -> None:
        self.folder.start(self.facts)
        first = pipeline.batch_at(
            self.data.train,
            0,
            batch_size=min(64, self.asked.batch_size),
            seed=self.asked.seed,
            policy=self.data.augment,
            view_seed=self.asked.view_seed,
        )[0]
        callbacks.write_images(self.folder.path / "logs" / "images", first, "augmented images")

    def _teach(self) -> dict[str, Any]:
        """Trains the teachers that are no files; measures each and, of several, their mean."""
        if isinstance(self.teacher, Cache):
            told = {"folder": str(self.teacher.folder), "train_top1": self.cache_top1}
            return {"teacher": None, "teacher_cache": told}
        if not self.teachers:
            return {"teacher": None}
        asked, results = self.asked, {}
        for model in lineage.teachers(asked):
            teacher = self.teachers[model.phase]
            if not classifiers.is_file(model.spec):
                with self.strategy.scope():
                    distiller = Distiller(teacher, precision=self.precision)
                rate = asked.teacher_learning_rate or asked.learning_rate
                self.once.trained(
                    model.phase, distiller, epochs=asked.teacher_epochs, learning_rate=rate
                )
                self._check_teacher(model.phase)
            results[model.phase] = self._measured(model.phase, teacher)
        if len(self.teachers) > 1:
            results["teacher"] = self._measured("teacher", self.teacher)
        return results

    def _baseline(self) -> dict[str, Any]:
        asked = self.asked
        alone = lineage.Trained("baseline", asked.student, asked.seed)
        with self.strategy.scope():
            distiller = self._distiller(alone, [], None)
        rate = asked.baseline_learning_rate or asked.learning_rate
        self.once.trained(alone.phase, distiller, epochs=asked.epochs, learning_rate=rate)
        return self._measured(alone.phase, distiller.deployed)

    def _learn(self) -> dict[str, Any]:
        """Trains assistants, generations and student, each by the one before; measures them."""
        asked, results = self.asked, {}
        teacher, teaching = self.teacher, "teacher"
        for model in lineage.learners(asked):
            distiller = self.learners.pop(0)
            if teacher is not None:
                with self.strategy.scope():
                    distiller.teacher = teacher  # methods read its weights, trained by now
            if asked.assistants or asked.generations > 1:
                self.screen.say(f"{model.phase}: {model.spec}, taught by {teaching}")
            history = self.once.trained(
                model.phase,
                distiller,
                epochs=asked.epochs,
                learning_rate=asked.learning_rate,
                rows=functools.partial(self._cached, distiller),
            )
            results[model.phase] = self._measured(model.phase, distiller.deployed)
            results[model.phase]["agreement"] = history.get("agreement", [None])[-1]
            teacher, teaching = distiller.deployed, model.phase
        return results

    def _cached(self, distiller: Distiller) -> Cache | None:
        """The outputs of the Distiller's teacher, where they are worth keeping."""
        if distiller.teacher is None or isinstance(distiller.teacher, Cache):
            return distiller.teacher
        return teacher_rows.from_model(
            self.asked,
            self.data,
            distiller.teacher,
            sorted({tap for method in distiller.methods for tap in method.teacher_taps}),
            views_per_image=distiller.views_per_image,
            precision=self.precision,
            screen=self.screen,
        )

    def _check_teacher(self, phase: str) -> None:
        """Shows a teacher's accuracy; refuses one that is hardly better than guessing."""
        top1 = self.once.top1(phase, self.teachers[phase])
        self.screen.say(
            f"{phase}: {top1:.1%} top-1 on {len(self.data.validation):,} validation images "
            f"({self.teachers[phase].count_params():,} parameters)"
        )
        self._refuse_weak(phase, top1)

    def _check_cache(self, cache: Cache) -> float:
        """Shows the accuracy of the teacher that a cache is of; refuses one as `_check_teacher`."""
        top1 = teacher_rows.top1(cache, self.data.train)
        self.screen.say(
            f"teacher: the cache {cache.folder}, {cache.header.views} views; {top1:.1%} top-1 on "
            "the first view of the training images"
        )
        self._refuse_weak("teacher", top1)
        return top1

    def _refuse_weak(self, phase: str, top1: float) -> None:
        chance = 1 / len(self.data.class_names)
        if top1 < WEAK_TEACHER * chance and not self.asked.allow_weak_teacher:
            raise ValueError(
                f"the {phase}'s top-1 is {top1:.2%}, under {WEAK_TEACHER} times chance "
                f"({chance:.2%}); expected one that knows these classes. Check its pixels "
                "(--teacher-preprocess) and its order of classes (--teacher-classes), train it "
                "longer (--teacher-epochs), or go on with --allow-weak-teacher."
            )

    def _measured(self, phase: str, model: keras.Model) -> dict[str, Any]:
        within = self.folder.path / "saved_models" / phase
        return self.once.measured(phase, model, self.export if phase == "student" else within)

    def _report(self, results: dict[str, Any]) -> None:
        path = self.folder.path
        histories = {phase: self.folder.finished(phase) for phase in results}
        known = {phase: history for phase, history in histories.items() if history}
        report.plot_history(known, path / "history.png")
        student = {name: results["student"][name] for name in ("top1", "top5")}
        callbacks.write_hparams(path / "logs" / "student", self.asked.model_dump(), student)
        report.write_json(path / "results.json", results)


def _seeded(seed: int, make: Callable[..., Any], *given: Any) -> Any:
    """What `make` gives when the seed is fresh: the same weights for every student of the seed."""
    keras.utils.set_random_seed(seed)
    return make(*given)


def _show(results: dict[str, Any], folder: RunFolder, screen: Screen) -> None:
    held_out = "a held-out tenth of train" if results["data"]["selected"] else "validation"
    report.table(results, screen, f"Results on {held_out}")
    if "seconds" in results["student"]:  # of runs that an earlier version finished, it is unknown
        screen.say(report.time_spent(results))
    screen.say(f"SavedModel of the student: {results['student']['export']['path']}")
    screen.say(f"Keras file of the student: {folder.model_file('student')}")
    screen.say(f"Curves: tensorboard --logdir {folder.path / 'logs'}")
