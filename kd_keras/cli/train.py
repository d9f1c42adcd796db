"""`kdk train`: runs a recipe with the changes that the command line makes."""

from collections.abc import Sequence
from typing import Any

import click

from kd_keras.cli import completion, errors, output, quiet, shared_options
from kd_keras.cli.sections import Option, Sectioned
from kd_keras.job.recipe import fields, recipe_files


def _run(
    recipe_name: str | None,
    sets: tuple[str, ...],
    run: str | None,
    export_dir: str,
    teacher_from: str | None,
    verify: bool,
    repeat: str | None,
    more_epochs: bool,
    **options: Any,
) -> None:
    if more_epochs and run is None:
        raise ValueError(
            "there is --continue without --run; expected the run that gets more --epochs. Give its "
            "name or path with --run."
        )
    if more_epochs and recipe_name is None:
        recipe_name = str(recipe_files.run_folder(run or "") / "recipe.json")
    changes = shared_options.set_options(options)
    if repeat is not None:
        _require_alone(repeat, [recipe_name, *sets, teacher_from, *changes])
        _repeat(repeat, folder=run, export_dir=export_dir, verify=verify)
        return
    recipe = recipe_files.resolve(recipe_name, changes, sets, teacher_from=teacher_from)
    quiet.import_tensorflow()
    from kd_keras.job import train

    screen = output.screen()
    results = train.run(
        recipe,
        run=run,
        export_dir=export_dir,
        screen=screen,
        verify=verify,
        more_epochs=more_epochs,
    )
    output.document(results)


def _require_alone(run: str, other_settings: Sequence[str | None]) -> None:
    if any(other_settings):
        raise ValueError(
            f"--repeat is {run!r}, and there are other settings; expected its recipe as it "
            "is. Give only --run, --export-dir and --verify beside it, or --recipe to change it."
        )


def _repeat(run: str, **options: Any) -> None:
    quiet.import_tensorflow()
    from kd_keras.job import repeat

    comparison = repeat.repeat(run, screen=output.screen(), **options)
    output.document(comparison)
    if not comparison["same"]:
        click.get_current_context().exit(errors.DIFFERENT)


command = output.command(
    Sectioned(
        "train",
        callback=_run,
        help=f"""Distil a student from a teacher, measure the gain, export the student.

        Values that you do not give come from the recipe; brackets show those of the default recipe,
        {recipe_files.DEFAULT}. With another dataset, unset values are adjusted to it and printed.
        {shared_options.LISTS} `kdk list` names datasets, models, methods and
        recipes.""",
        params=[
            *shared_options.recipe_options(),
            Option(
                ["--run"],
                metavar="NAME|PATH",
                shell_complete=completion.run_completion(),
                help="run folder; a name means a folder in runs/ [follows from the recipe]",
            ),
            Option(
                ["--export-dir"],
                metavar="FOLDER",
                default="saved_models",
                help="parent folder of the SavedModel [saved_models]",
            ),
            Option(
                ["--repeat"],
                metavar="RUN",
                shell_complete=completion.run_completion(),
                help="run the recipe of a finished run again in a new folder, and say whether it "
                "comes out the same; exit code 1 if it does not",
            ),
            Option(
                ["--continue", "more_epochs"],
                is_flag=True,
                help="train the students of the --run for more --epochs; without --recipe, that "
                "run's recipe is used",
            ),
            Option(
                ["--verify"],
                is_flag=True,
                help="check the data's contents, not only sizes and times",
            ),
            *shared_options.field_options(fields.Recipe.model_fields),
            *shared_options.method_knob_options(),
            Option(
                ["--teacher-from"],
                metavar="RUN",
                shell_complete=completion.run_completion(),
                section="Models",
                help="name or path of a finished run, whose student is the teacher; without "
                "--recipe, that run's recipe is used",
            ),
        ],
    )
)
