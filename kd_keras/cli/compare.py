"""`kdk compare`: the students of two or more runs, on the same images."""

from pathlib import Path

import click

from kd_keras.cli import completion, output


@click.command("compare")
@click.argument("runs", metavar="RUN...", nargs=-1, shell_complete=completion.run_completion())
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="write a page with plots, and their PNG and CSV files in a folder beside it",
)
@output.command
def command(runs: tuple[str, ...], html: Path | None) -> None:
    """Compare the students of finished runs on the same validation images.

    RUN is the name of a run in ./runs, or a path; give two or more, or one run with several
    students. Runs that differ only in their seeds are one group, with its mean and an interval over
    seeds. The group of the first RUN is what the others are compared with.

    Differences have 95 % intervals: over seeds (Student's t) where two groups share two seeds or
    more, over images (bootstrap) otherwise; p-values are of McNemar's exact test over images.
    """
    from kd_keras.job.compare_command import compare

    screen = output.screen()
    output.document(compare.compare(runs, html=html, screen=screen))
