"""The whole job of `kdk train`, in reading order: data, teacher, students, results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kd_keras.data import pipeline
from kd_keras.data.store import Dataset
from kd_keras.distill import split_batch, validation
from kd_keras.distill.distiller import Distiller
from kd_keras.exports.process import fresh_process
from kd_keras.job import (
    adjustment,
    build,
    cached_teacher,
    closing,
    dataset,
    devices,
    fitting,
    job_time,
    plan,
    teacher_check,
)
from kd_keras.job.learners import Cast
from kd_keras.job.phases import Once
from kd_keras.job.recipe_files import Recipe
from kd_keras.job.run_folder import RunFolder
from kd_keras.methods import base
from kd_keras.results import tensorboard_logs, verdict
from kd_keras.results.phase_names import shown
from kd_keras.results.screen import Screen
from kd_keras.teacher_cache.reader import Cache

#: Why results.json has no agreement of a student whose teacher is a cache.
NO_AGREEMENT = "the teacher is a cache of its outputs on training images, not on validation images"


def run(
    asked: Recipe,
    *,
    run: str | None = None,
    export_dir: str = "saved_models",
    screen: Screen | None = None,
    verify: bool = False,
) -> dict[str, Any]:
    """Does what the recipe says and returns what `results.json` of the run folder holds.

    A finished run only shows its results again; a finished phase is not redone.

    Args:
        asked: the run's recipe.
        run: name or path of the run folder; None takes the name that follows from the recipe.
        export_dir: where the student's SavedModel goes, in a folder of the run's name; of several
            students, in a folder each within.
        screen: where lines, bars and tables go.
        verify: check the data's contents against their hashes, not just sizes and times.

    Raises:
        ValueError, FileNotFoundError, OSError: what is wrong, what was expected, what to do.
    """
    screen = screen or Screen()
    devices.get(asked.devices)  # first: methods start TensorFlow, and CPUs are split before that
    build.check_names(asked)
    asked, data = adjustment.loaded(asked, screen, verify=verify)
    folder = RunFolder(asked, run)
    results = folder.results()
    if results is None:
        job = _Run(asked, folder, Path(export_dir).expanduser(), screen, data, verify=verify)
        results = job.results()
    else:
        folder.check_same_facts(build.identities(asked))
        screen.say(f"{folder.path} is a finished run of this recipe; these are its results.")
    closing.show(results, asked, folder, screen)
    return results


class _Run:
    """A run that is not finished: everything is checked before anything is written or trained."""

    def __init__(
        self,
        asked: Recipe,
        folder: RunFolder,
        export_dir: Path,
        screen: Screen,
        data: Dataset | None,
        *,
        verify: bool,
    ):
        self.asked, self.folder, self.screen = asked, folder, screen
        self.strategy = devices.get(asked.devices)
        self.exports = _exports(asked, export_dir / folder.name)
        fitting.check_optimizer(asked)
        if asked.optimizer == "dot" and asked.method == ("none",):
            screen.warn("optimizer dot has one gradient without a method: it is SGD with momentum")
        for export in self.exports.values():
            folder.check_export(export)
        self.precision = fitting.precision(asked, screen)
        self.data = data or dataset.load(asked, screen, verify=verify)
        pipeline.steps_per_epoch(self.data.train, asked.batch_size)
        split_batch.require_full(
            "batch_size",
            asked.batch_size,
            self.strategy.num_replicas_in_sync,
            remedy="Give a larger --batch-size, or fewer --devices.",
        )
        self.facts = self._facts()
        folder.check_same_facts(self.facts)
        with self.strategy.scope():
            self.cast = Cast(asked, self.data, precision=self.precision)
            for distillers in self.cast.rounds:
                fitting.check_together(distillers)
        job = job_time.of_run(asked, self.data, self.cast.teachers, self.cast.rounds, screen)
        self.once = Once(asked, self.data, folder, screen, job)
        for line in build.origins(asked):
            screen.say(line)
        for model in plan.teachers(asked):
            if self.cast.teachers and build.is_file(model.spec):
                self._check_teacher(model.phase)
        learners = [d for distillers in self.cast.rounds for d in distillers.values()]
        left_out = validation.left_out([method for d in learners for method in d.methods])
        if asked.validate_teacher and left_out:
            screen.say(left_out)
        if isinstance(self.cast.teacher, Cache):
            teacher = self.cast.teacher
            self.cache_top1 = teacher_check.of_cache(teacher, self.asked, self.data, self.screen)

    def results(self) -> dict[str, Any]:
        self._start()
        with fresh_process() as self.once.serve:  # ready by the time that it is needed
            results = self._teach() | self._baselines() | self._learn()
        results["data"] = {
            "summary": self.data.summary(),
            "selected": self.asked.select,
            "classes": len(self.data.class_names),
        }
        labels = self.data.validation.labels
        results |= verdict.of(results, self.folder.predictions, labels, seed=self.asked.seed)
        closing.write(results, self.asked, self.folder)
        return results

    def _facts(self) -> dict[str, Any]:
        """What the phases of a run folder have in common, for its provenance."""
        return {
            "data": self.data.fingerprint,
            **build.identities(self.asked),
            "precision": self.precision,
            "replicas": self.strategy.num_replicas_in_sync,
        }

    def _start(self) -> None:
        self.folder.start(self.facts)
        plan = pipeline.BatchPlan(
            self.data.train,
            batch_size=min(64, self.asked.batch_size),
            seed=self.asked.seed,
            policy=self.data.augment,
            view_seed=self.asked.view_seed,
        )
        images, _, labels = plan.batch(0)
        classes = [self.data.class_names[label] for label in labels]
        folder = self.folder.path / "logs" / "images"
        tensorboard_logs.write_images(folder, images, classes, title="augmented images")

    def _teach(self) -> dict[str, Any]:
        """Trains the teachers that are no files; measures each and, of several, their mean."""
        asked, teachers = self.asked, self.cast.teachers
        if isinstance(self.cast.teacher, Cache):
            told = {"folder": str(self.cast.teacher.folder), "train_top1": self.cache_top1}
            return {"teacher": None, "teacher_cache": told}
        if not teachers:
            return {"teacher": None}
        results = {}
        for model in plan.teachers(asked):
            if not build.is_file(model.spec):
                with self.strategy.scope():
                    distiller = Distiller(teachers[model.phase], precision=self.precision)
                rate = asked.teacher_learning_rate or asked.learning_rate
                self.once.trained(
                    {model.phase: distiller},
                    epochs=asked.teacher_epochs,
                    learning_rate=rate,
                    views=0,  # fewer save a teacher's work, and this one has none yet
                )
                self._check_teacher(model.phase)
            results[model.phase] = self._measured(model.phase, teachers[model.phase], model)
        if len(teachers) > 1:
            results["teacher"] = self._measured("teacher", self.cast.teacher)
        return results

    def _baselines(self) -> dict[str, Any]:
        """Trains the students alone, if asked for; measures them."""
        asked = self.asked
        if not asked.baseline:
            return {"baseline": None}
        with self.strategy.scope():
            alone = self.cast.baselines()
        rate = asked.baseline_learning_rate or asked.learning_rate
        self.once.trained(alone, epochs=asked.epochs, learning_rate=rate, views=asked.views)
        return {
            model.phase: self._measured(model.phase, alone[model.phase].deployed, model)
            for model in plan.baselines(asked)
        }

    def _learn(self) -> dict[str, Any]:
        """Trains assistants, generations and students, round by round; measures them."""
        asked, results = self.asked, {}
        teacher, teaching = self.cast.teacher, "teacher"
        for models in plan.rounds(asked):
            distillers = self.cast.rounds.pop(0)
            for distiller in distillers.values():
                if distiller.teacher is not None:
                    with self.strategy.scope():
                        distiller.teacher = teacher  # methods read its weights, trained by now
            if asked.assistants or asked.generations > 1:
                for model in models:
                    self.screen.say(
                        f"{shown(model.phase)}: {model.spec}, taught by {shown(teaching)}"
                    )
            self.once.trained(
                distillers,
                epochs=asked.epochs,
                learning_rate=asked.learning_rate,
                views=asked.views,
                rows=self._cached,
            )
            for model in models:
                deployed = distillers[model.phase].deployed
                results[model.phase] = self._measured(model.phase, deployed, model)
                is_taught = distillers[model.phase].teacher is not None
                results[model.phase] |= self._agreement(model.phase, teaching if is_taught else "")
            teacher, teaching = distillers[models[0].phase].deployed, models[0].phase
        return results

    def _agreement(self, phase: str, teaching: str) -> dict[str, Any]:
        """How often the model and the one that taught it predict the same class."""
        if teaching == "teacher" and isinstance(self.cast.teacher, Cache):
            return {"agreement": None, "agreement_note": NO_AGREEMENT}
        return {"agreement": self.folder.agreement(phase, teaching) if teaching else None}

    def _cached(self, distillers: Mapping[str, Distiller]) -> Cache | None:
        """The outputs of the Distillers' teacher, where they are worth keeping."""
        taught = [d for d in distillers.values() if d.teacher is not None]
        teacher = taught[0].teacher if taught else None
        if not isinstance(teacher, keras.Model):
            return self.cast.teacher if isinstance(teacher, Cache) else None
        return cached_teacher.from_model(
            self.asked,
            self.data,
            teacher,
            sorted(base.taps_of("teacher", [method for d in taught for method in d.methods])),
            views_per_image=taught[0].views_per_image,
            precision=self.precision,
            screen=self.screen,
        )

    def _check_teacher(self, phase: str) -> None:
        """Shows a teacher's accuracy; refuses one that is hardly better than guessing."""
        teacher = self.cast.teachers[phase]
        top1 = self.once.top1(phase, teacher)
        teacher_check.of_model(phase, teacher, top1, self.asked, self.data, self.screen)

    def _measured(
        self, phase: str, model: keras.Model, of: plan.Trained | None = None
    ) -> dict[str, Any]:
        """The model's entry of results.json; of one of several students, with what it is.

        A teacher from a file is not exported: it is its user's already.
        """
        teaches = phase.startswith("teacher")
        within = self.folder.path / "saved_models" / phase
        export: Path | None = self.exports.get(phase, within)
        if teaches and of is not None and build.is_file(of.spec):
            export = None
        result = self.once.measured(phase, model, export)
        if of is not None and len(self.exports) > 1 and not teaches:
            result |= {"spec": of.spec, "methods": list(of.methods)}
        return result


def _exports(asked: Recipe, folder: Path) -> dict[str, Path]:
    """Where the SavedModel of each student goes, by phase."""
    phases = [model.phase for model in plan.students(asked)]
    return {phase: folder if len(phases) == 1 else folder / phase for phase in phases}
