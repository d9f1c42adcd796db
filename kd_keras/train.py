"""The whole job of `kdk train`, in reading order: data, teacher, baseline, student, results."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from kd_keras import callbacks, classifiers, data, evaluation, fitting, report, strategy
from kd_keras.data import pipeline
from kd_keras.data.store import Dataset
from kd_keras.distiller import Distiller
from kd_keras.phases import RunFolder
from kd_keras.recipe import Recipe
from kd_keras.screen import Screen

SELECT_FRACTION = 0.1  # of train, held out to choose settings by
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
    if results is not None:
        models = {"teacher": asked.teacher, "student": asked.student}
        folder.check_same_facts({k: classifiers.identity(spec) for k, spec in models.items()})
    if results is None:
        results = _Run(asked, folder, Path(export_dir).expanduser(), screen).results()
    else:
        screen.say(f"{folder.path} is a finished run of this recipe; these are its results.")
    _show(results, folder, screen)
    return results


class _Run:
    """A run that is not finished: everything is checked before anything is written or trained."""

    def __init__(self, asked: Recipe, folder: RunFolder, export_dir: Path, screen: Screen):
        self.asked, self.folder, self.export_dir, self.screen = asked, folder, export_dir, screen
        classifiers.check_names(asked)
        self.strategy = strategy.get(asked.devices)
        self.precision = fitting.precision(asked)
        self.data = _load(asked, screen)
        with self.strategy.scope():
            methods = classifiers.make_methods(asked, num_examples=len(self.data.train.images))
            taught = not all(method.teacher_free for method in methods)
            self.teacher = self._make_teacher() if taught else None
            self.distiller = self._distiller(methods)
        self.teacher_comes_ready = classifiers.is_file(asked.teacher)
        if self.teacher and self.teacher_comes_ready:
            self._check_teacher(self.teacher)

    def results(self) -> dict[str, Any]:
        self._start()
        results: dict[str, Any] = {
            "teacher": self._teacher() if self.teacher else None,
            "baseline": self._baseline() if self.asked.baseline else None,
        }
        history = self._phase("student", self.distiller)
        results["student"] = self._measure("student", self.distiller.deployed, self.export_dir)
        results["student"]["agreement"] = history.get("agreement", [None])[-1]
        results["data"] = {"summary": self.data.summary(), "selected": self.asked.select}
        self._report(results)
        return results

    def _make_teacher(self) -> keras.Model:
        return self._seeded(lambda: classifiers.make_teacher(self.asked, self.data))

    def _seeded(self, make: Callable[[], Any]) -> Any:
        """What `make` gives when the recipe's seed is fresh: the same weights for every student."""
        keras.utils.set_random_seed(self.asked.seed)
        return make()

    def _distiller(self, methods: list[Any]) -> Distiller:
        student = self._seeded(
            lambda: classifiers.make(self.asked.student, self.data, self.asked.weights)
        )
        return Distiller(
            student,
            self.teacher if methods else None,  # the baseline has none
            methods,
            ce_weight=self.asked.ce_weight if methods else None,
            label_smoothing=self.asked.label_smoothing,
            precision=self.precision,
        )

    def _start(self) -> None:
        self.folder.start(
            {
                "data": self.data.fingerprint,
                "teacher": classifiers.identity(self.asked.teacher),
                "student": classifiers.identity(self.asked.student),
                "precision": self.precision,
                "replicas": self.strategy.num_replicas_in_sync,
            }
        )
        first = pipeline.batch_at(
            self.data.train,
            0,
            batch_size=min(64, self.asked.batch_size),
            seed=self.asked.seed,
            policy=self.data.augment,
            view_seed=self.asked.view_seed,
        )[0]
        callbacks.write_images(self.folder.path / "logs" / "images", first, "augmented images")

    def _teacher(self) -> dict[str, Any]:
        if not self.teacher_comes_ready:
            with self.strategy.scope():
                distiller = Distiller(self.teacher, precision=self.precision)
            self._phase("teacher", distiller)
            self._check_teacher(self.teacher)
            with self.strategy.scope():
                self.distiller.teacher = self.teacher  # methods read its weights, trained by now
        return self._measure("teacher", self.teacher, self.folder.path / "saved_models")

    def _baseline(self) -> dict[str, Any]:
        with self.strategy.scope():
            distiller = self._distiller([])
        self._phase("baseline", distiller)
        folder = self.folder.path / "saved_models"
        return self._measure("baseline", distiller.student, folder)

    def _phase(self, phase: str, distiller: Distiller) -> dict[str, list[float]]:
        """Trains, or takes over the weights of a phase that an earlier call finished."""
        asked, is_teacher = self.asked, phase == "teacher"
        history = self.folder.finished(phase)
        if history is not None:
            saved = keras.models.load_model(self.folder.model_file(phase), compile=False)
            distiller.deployed.set_weights(saved.get_weights())
            self.screen.say(f"{phase}: finished before, in {self.folder.model_file(phase)}")
            return history
        rate = {
            "teacher": asked.teacher_learning_rate,
            "baseline": asked.baseline_learning_rate,
        }.get(phase)
        history = fitting.fit(
            distiller,
            self.data,
            asked,
            epochs=asked.teacher_epochs if is_teacher else asked.epochs,
            learning_rate=rate or asked.learning_rate,
            phase=phase,
            folder=self.folder.path,
            screen=self.screen,
        )
        self.folder.finish(phase, distiller.deployed, history)
        return history

    def _check_teacher(self, teacher: keras.Model) -> None:
        """Shows the teacher's accuracy; refuses one that is hardly better than guessing."""
        scores = evaluation.scores(teacher, self.data.validation)
        top1 = evaluation.accuracy(scores, self.data.validation.labels)
        chance = 1 / len(self.data.class_names)
        self.screen.say(
            f"teacher: {top1:.1%} top-1 on {len(scores):,} validation images "
            f"({teacher.count_params():,} parameters)"
        )
        if top1 < WEAK_TEACHER * chance and not self.asked.allow_weak_teacher:
            raise ValueError(
                f"the teacher's top-1 is {top1:.2%}, under {WEAK_TEACHER} times chance "
                f"({chance:.2%}); expected one that knows these classes. Check its pixels "
                "(--teacher-preprocess) and its order of classes (--teacher-classes), train it "
                "longer (--teacher-epochs), or go on with --allow-weak-teacher."
            )

    def _measure(self, phase: str, model: keras.Model, exports: Path) -> dict[str, Any]:
        name = self.folder.name if phase == "student" else phase
        self.screen.say(f"{phase}: evaluating, exporting and timing it")
        result, predicted = evaluation.measure(model, self.data, exports / name)
        self.folder.keep_predictions(phase, predicted)
        return result

    def _report(self, results: dict[str, Any]) -> None:
        path = self.folder.path
        phases = ("teacher", "baseline", "student")
        histories = {phase: self.folder.finished(phase) for phase in phases}
        known = {phase: history for phase, history in histories.items() if history}
        report.plot_history(known, path / "history.png")
        student = {name: results["student"][name] for name in ("top1", "top5")}
        callbacks.write_hparams(path / "logs" / "student", self.asked.model_dump(), student)
        report.write_json(path / "results.json", results)


def _load(asked: Recipe, screen: Screen) -> Dataset:
    loaded = data.load(
        asked.dataset,
        data_dir=asked.data_dir,
        image_size=asked.image_size,
        val_fraction=asked.val_fraction,
        select=SELECT_FRACTION if asked.select else None,
        progress=screen.progress,
    )
    pipeline.steps_per_epoch(loaded.train, asked.batch_size)
    screen.say(f"{asked.dataset}: {loaded.summary()}")
    return loaded


def _show(results: dict[str, Any], folder: RunFolder, screen: Screen) -> None:
    held_out = "a held-out tenth of train" if results["data"]["selected"] else "validation"
    report.table(results, screen, f"Results on {held_out}")
    screen.say(f"SavedModel of the student: {results['student']['export']['path']}")
    screen.say(f"Keras file of the student: {folder.model_file('student')}")
    screen.say(f"Curves: tensorboard --logdir {folder.path / 'logs'}")
