"""The whole job of `kdk train`, in reading order: prepare, train each model, measure, report."""

import contextlib
import functools
from pathlib import Path
from typing import Any

import keras

from kd_keras.distill import machines
from kd_keras.distill.callbacks import gradient_norms
from kd_keras.distill.checks import pair_warnings
from kd_keras.distill.distiller import Distiller
from kd_keras.exports.process import Serve, fresh_process
from kd_keras.job import added_epochs, distillation_check, finish_run, identity, phases, plan
from kd_keras.job.checks import precheck
from kd_keras.job.hardware import devices, team
from kd_keras.job.images import adjustment, training_images
from kd_keras.job.models import build, embedding_teacher
from kd_keras.job.plan import PlannedModel
from kd_keras.job.prepare import Job, check_teacher, prepare
from kd_keras.job.recipe import recipe_files
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.run_folders.run_folder import RunFolder
from kd_keras.results import verdict
from kd_keras.results.loggers import tensorboard_logs
from kd_keras.results.metrics import agreement, main_score, multi_label
from kd_keras.results.phase_names import display_name
from kd_keras.results.plots import augmented_images
from kd_keras.results.run_files import run_data, score_files
from kd_keras.results.terminal.screen import Screen
from kd_keras.teacher_cache.reader import Cache

#: Why results.json has no agreement for a student whose teacher is a cache.
NO_AGREEMENT = "the teacher is a cache of its outputs on training images, not on validation images"


def run(
    recipe: Recipe,
    *,
    run: str | None = None,
    export_dir: str = "saved_models",
    screen: Screen | None = None,
    verify: bool = False,
    more_epochs: bool = False,
) -> dict[str, Any]:
    """Runs a recipe and returns the contents of `results.json` in its run folder.

    A finished run only shows its results again. An unfinished run continues: what is trained or
    measured already is not done again.

    Args:
        recipe: the run's recipe.
        run: name or path of the run folder; None takes the name that follows from the recipe.
        export_dir: parent of the folder, named like the run, in which the student's SavedModel
            goes; with several students, each has a folder within.
        screen: where lines, bars and tables are shown.
        verify: check the data's contents against their hashes, not only sizes and times.
        more_epochs: accept a finished run of fewer epochs, and train its students for the rest, as
            if the run had had all epochs from the start; its schedule must be constant.

    Raises:
        ValueError, FileNotFoundError, OSError: what is wrong, what was expected, what to do.
    """
    screen = team.screen(screen or Screen())
    if recipe.deterministic:
        devices.be_deterministic()
    # First: methods start TensorFlow, and CPUs are split before that.
    strategy = devices.get(recipe.devices)
    with machines.explain_lost_machine(strategy):
        return _run(
            recipe, run, export_dir, strategy, screen, verify=verify, more_epochs=more_epochs
        )


def _run(
    recipe: Recipe,
    run: str | None,
    export_dir: str,
    strategy: devices.Strategy,
    screen: Screen,
    *,
    verify: bool,
    more_epochs: bool,
) -> dict[str, Any]:
    precheck.check_recipe(recipe)
    exports = Path(export_dir).expanduser()
    precheck.check_output_folders(run, exports)
    recipe, data = machines.chief_first(
        strategy, lambda: adjustment.load_and_adjust(recipe, screen, verify=verify)
    )
    folder = RunFolder(recipe, run, more_epochs=more_epochs)
    screen.detail(f"run folder: {folder.path}\nrecipe: {recipe_files.to_json(recipe).rstrip()}")
    results = folder.results()
    if more_epochs and added_epochs.check(folder):
        results = None
    machines.wait_for_all(strategy)  # all have read the folder before one of them writes to it
    if results is None:
        with folder.lock as lock:
            if folder.path.is_dir() and machines.is_chief(strategy):
                lock.take()
            job = prepare(recipe, folder, data, export_dir=exports, screen=screen, verify=verify)
            results = _train_and_measure(job)
    else:
        folder.check_same_provenance(identity.identities(recipe))
        screen.say(f"{folder.path} is a finished run of this recipe; these are its results.")
    if machines.is_chief(strategy):
        finish_run.show(results, recipe, folder, screen)
    return results


def _train_and_measure(job: Job) -> dict[str, Any]:
    """Trains and measures all models and writes the results into the run folder."""
    machines.chief_only(job.strategy, lambda: _start(job))
    results: dict[str, Any] = {}
    with _fresh_process(job) as serve:  # starts meanwhile; checks the exports
        results |= train_teachers(job, serve)
        results |= train_baselines(job, serve)
        results |= train_students(job, serve)
    results["data"] = {
        "summary": job.data.summary(),
        "validated_on_holdout": job.recipe.validate_on_holdout,
        "classes": len(job.data.class_names),
        **({"label_mode": "multi"} if job.data.multi_label else {}),
        "train_images": len(job.data.train),
        **training_images.num_images_by_use(job.recipe, job.data),
    }
    labels = job.data.validation.labels
    answers = job.folder.scores if job.data.multi_label else job.folder.predictions
    results |= verdict.make_verdict(results, answers, labels, seed=job.recipe.seed)
    results["warnings"] = distillation_check.warnings(job, results)
    machines.chief_only(job.strategy, lambda: _close(job, results))
    return results


def _start(job: Job) -> None:
    """Writes what is known before any training into the run folder."""
    job.folder.start(dict(job.provenance))
    run_data.write(job.folder.path, job.data)
    score_files.save_labels(job.folder.path, job.data.validation.labels)
    _write_augmented_images(job)


def _close(job: Job, results: dict[str, Any]) -> None:
    """Writes the results and their report."""
    finish_run.write(results, job.recipe, job.folder)
    finish_run.write_report(job.folder, job.data, job.screen)
    job.folder.require_present()  # or the lines that follow would name files that are gone


def _fresh_process(job: Job) -> contextlib.AbstractContextManager[Serve | None]:
    """The process that checks exports, where exports are written."""
    return fresh_process() if machines.is_chief(job.strategy) else contextlib.nullcontext()


def train_teachers(job: Job, serve: Serve | None) -> dict[str, Any]:
    """Trains the teachers that are not files; measures each and, if there are several, their mean.

    Returns:
        Entries of results.json by phase; "teacher" is None if no model is the teacher.
    """
    teacher, recipe = job.models.teacher, job.recipe
    if isinstance(teacher, Cache):
        name = f"train_{main_score.score_of_data(job.data).key}"
        cache = {"folder": str(teacher.folder), name: job.cache_score}
        return {"teacher": None, "teacher_cache": cache}
    if teacher is None:
        return {"teacher": None}
    if job.models.embedding:
        return embedding_teacher.result(recipe, teacher)
    results = {}
    for planned_model in plan.teachers(recipe):
        model = job.models.teachers[planned_model.phase]
        from_file = identity.is_file(planned_model.spec)
        if not from_file:
            with job.strategy.scope():
                distiller = Distiller(model, label_mode=recipe.label_mode, precision=job.precision)
            rate = recipe.teacher_learning_rate or recipe.learning_rate
            distillers = {planned_model.phase: distiller}
            phases.restore_finished(job, distillers)
            unfinished = phases.unfinished_distillers(job, distillers)
            # Fewer views save work of a teacher, and this training has none.
            phases.train(job, unfinished, epochs=recipe.teacher_epochs, learning_rate=rate, views=0)
            machines.chief_first(
                job.strategy,
                functools.partial(check_teacher, planned_model, job.models, job.measurements),
            )
        export = None if from_file else job.export_folder(planned_model)
        results[planned_model.phase] = job.measure(planned_model, model, export, serve)
    if len(results) > 1:
        mean = plan.mean_of_teachers(recipe)
        export = job.export_folder(mean)
        results[mean.phase] = job.measure(mean, teacher, export, serve)
    return results


def train_baselines(job: Job, serve: Serve | None) -> dict[str, Any]:
    """Trains the students without a teacher if the recipe says so; measures them.

    Returns:
        Entries of results.json by phase; "baseline" is None if the recipe has none.
    """
    recipe = job.recipe
    if not recipe.baseline:
        return {"baseline": None}
    with job.strategy.scope():
        distillers = build.make_baselines(recipe, job.data, precision=job.precision)
    rate = recipe.baseline_learning_rate or recipe.learning_rate
    phases.restore_finished(job, distillers)
    unfinished = phases.unfinished_distillers(job, distillers)
    phases.train(job, unfinished, epochs=recipe.epochs, learning_rate=rate, views=recipe.views)
    return {
        model.phase: _measure(job, model, distillers[model.phase].deployed, serve)
        for model in plan.baselines(recipe)
    }


def train_students(job: Job, serve: Serve | None) -> dict[str, Any]:
    """Trains assistants, generations and students, round by round; measures them.

    Returns:
        Entries of results.json by phase.
    """
    recipe, results = job.recipe, {}
    teacher, teacher_phase = job.models.teacher, "teacher"
    for models, distillers in zip(plan.rounds(recipe), job.models.rounds, strict=True):
        for distiller in distillers.values():
            if distiller.teacher is not None:
                with job.strategy.scope(), pair_warnings.without_warnings():
                    distiller.teacher = teacher  # methods read its weights, trained by now
        if recipe.assistants or recipe.generations > 1:
            for planned_model in models:
                name = display_name(planned_model.phase)
                job.screen.say(
                    f"{name}: {planned_model.spec}, taught by {display_name(teacher_phase)}"
                )
        phases.restore_finished(job, distillers)
        unfinished = phases.unfinished_distillers(job, distillers)
        phases.train(
            job,
            unfinished,
            epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
            views=recipe.views,
            rows=phases.cached_rows(job, unfinished),
        )
        for planned_model in models:
            distiller = distillers[planned_model.phase]
            result = _measure(job, planned_model, distiller.deployed, serve)
            taught_by = teacher_phase if distiller.teacher is not None else None
            result |= _agreement(job, planned_model, taught_by)
            norms_by_epoch = gradient_norms.measurements(
                job.folder.history(planned_model.phase) or {}
            )
            result |= {"gradient_norms": norms_by_epoch[-1]} if norms_by_epoch else {}
            results[planned_model.phase] = result
        teacher, teacher_phase = distillers[models[0].phase].deployed, models[0].phase
    return results


def _write_augmented_images(job: Job) -> None:
    """Writes a picture of augmented images, to the run folder and for TensorBoard."""
    picture = augmented_images.picture(job.data, view_seed=job.recipe.view_seed)
    augmented_images.write(job.folder.path, picture)
    logs = job.folder.path / "logs" / "images"
    tensorboard_logs.write_picture(logs, picture, title="augmented images")


def _measure(
    job: Job, planned_model: PlannedModel, model: keras.Model, serve: Serve | None
) -> dict[str, Any]:
    """The entry of results.json for a model that is trained; says what it is among several."""
    result = job.measure(planned_model, model, job.export_folder(planned_model), serve)
    if len(job.exports) > 1:
        result |= {"spec": planned_model.spec, "methods": list(planned_model.methods)}
    return result


def _agreement(job: Job, planned_model: PlannedModel, teacher_phase: str | None) -> dict[str, Any]:
    """Agreement of a model with its teacher, if any, on the validation images."""
    if teacher_phase == "teacher" and isinstance(job.models.teacher, Cache):
        return {"agreement": None, "agreement_note": NO_AGREEMENT}
    if teacher_phase == "teacher" and job.models.embedding:
        return {"agreement": None, "agreement_note": embedding_teacher.NO_AGREEMENT}
    if teacher_phase is None:
        return {"agreement": None}
    facts = {"taught_by": teacher_phase}
    student_scores = job.folder.scores(planned_model.phase)
    teacher_scores = job.folder.scores(teacher_phase)
    if student_scores is None or teacher_scores is None:  # measured by an earlier version
        return facts | {"agreement": job.folder.agreement(planned_model.phase, teacher_phase)}
    if job.data.multi_label:
        return facts | multi_label.measure_agreement(student_scores, teacher_scores)
    labels = job.data.validation.labels
    return facts | agreement.measure_agreement(student_scores, teacher_scores, labels)
