"""The end of a run: files in its folder, and lines on the screen."""

from typing import Any

from kd_keras.data.stores.store import Dataset
from kd_keras.job import plan
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.run_folders.run_folder import RunFolder
from kd_keras.job.training import hparams
from kd_keras.results.metrics import main_score
from kd_keras.results.phase_names import display_name
from kd_keras.results.plots import curves
from kd_keras.results.report import finished_run, headline, report, samples
from kd_keras.results.terminal import table
from kd_keras.results.terminal.screen import Screen


def write(results: dict[str, Any], recipe: Recipe, folder: RunFolder) -> None:
    """Writes the curves, TensorBoard's HParams and, last, `results.json` into the run folder.

    Args:
        results: what `results.json` will hold, see `train.run`.
        recipe: the run's recipe.
        folder: the run folder, with the histories of the trained phases.
    """
    folder.require_present()
    histories = {phase: folder.history(phase) for phase in results}
    trained_histories = {phase: history for phase, history in histories.items() if history}
    names = {phase: table.model_name(phase, results) for phase in trained_histories}
    curves.plot(trained_histories, folder.path / "history.png", names=names)
    for model in plan.models(recipe):
        if model.phase in trained_histories:
            score = main_score.score_of_results(results)
            accuracies = {name: results[model.phase][name] for name in (score.key, score.second)}
            trained_with = hparams.values(recipe, model)
            hparams.write(folder.path / "logs" / model.phase, trained_with, accuracies)
    folder.write_results(results)


def write_report(folder: RunFolder, data: Dataset, screen: Screen) -> None:
    """Writes `report.html` and the images that it shows; warns if that fails.

    The run is finished by now: nothing that goes wrong here may cost its results.

    Args:
        folder: the run folder.
        data: the dataset.
        screen: where lines are shown.
    """
    try:
        samples.keep(finished_run.read(folder.path), data.validation)
        report.report(folder.path)
    except Exception as error:
        screen.warn(
            f"the report could not be written ({type(error).__name__}: {error}). The results are "
            f"saved; `kdk report {folder.path}` tries again."
        )


def show(results: dict[str, Any], recipe: Recipe, folder: RunFolder, screen: Screen) -> None:
    """Shows the results table, the verdict, the time spent and the paths of the files.

    Args:
        results: results by phase, as in results.json.
        recipe: the run's recipe.
        folder: the run folder.
        screen: where they are shown.
    """
    table.table(results, screen, f"Results on {table.evaluated_images(results)}")
    if labels := table.labels(results):
        screen.say(f"Training had {labels}")
    if epochs := table.best_epochs(results):
        screen.say(epochs)
    phases = [model.phase for model in plan.students(recipe)]
    for line in results.get("verdict", ()):  # runs that an earlier version finished have none
        screen.result(line)
    has_report = (folder.path / report.NAME).is_file()
    for line in headline.what_to_try(finished_run.read(folder.path)) if has_report else ():
        screen.say(line)
    for line in results.get("warnings", ()):
        screen.warn(line)
    if "seconds" in results[phases[0]]:  # unknown for runs that an earlier version finished
        screen.say(table.time_spent(results))
    for phase in phases:
        name = display_name(phase)
        screen.result(f"SavedModel of the {name}: {results[phase]['export']['path']}")
        screen.result(f"Keras file of the {name}: {folder.model_file(phase)}")
    screen.say(f"Curves: tensorboard --logdir {folder.path / 'logs'}")
    if has_report:
        screen.result(f"Report, for a browser: {folder.path / report.NAME}")
