"""`kdk report`: the report of a finished run, as a page for a browser."""

import click

from kd_keras.cli import completion, output
from kd_keras.job.recipe import recipe_files


@click.command("report")
@click.argument("run", metavar="RUN", shell_complete=completion.run_completion())
@click.option(
    "--images/--no-images",
    default=True,
    help="show twenty validation images [images]; leave them out of a page that you publish",
)
@output.command
def command(run: str, images: bool) -> None:
    """Write the report of a finished run into its folder: report.html.

    RUN is the name of a run in ./runs, or a path. The page opens offline and is all in one file.
    Its plots are also in the run's folder report/, as PNG, with their numbers as CSV. `kdk train`
    writes it at the end of a run.
    """
    from kd_keras.job import output_paths
    from kd_keras.results.report import report

    screen, folder = output.screen(), recipe_files.run_folder(run)
    if (folder / "recipe.json").is_file():  # or the report says what is missing
        output_paths.require_file(folder / report.NAME)
    path = report.report(folder, images=images)
    screen.result(f"Report, for a browser: {path}")
    output.document({"report": path, "plots": path.parent / report.FOLDER})
