"""`kdk doctor`: what this machine has, what is missing, and how to get it."""

import contextlib
import dataclasses
from pathlib import Path

import click

from kd_keras.cli import errors, output, quiet


@click.command("doctor")
@click.option(
    "--data-dir",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="folder with Tiny ImageNet, if it is not in a usual place",
)
@output.command
def command(data_dir: Path | None) -> None:
    """Look at what training and the other commands need, and say how to get what is missing.

    Versions, extras, devices, the precision that --precision auto chooses, memory, disks, caches,
    data and the network. Nothing is changed. The exit code is 2 if nothing can be trained here, and
    0 otherwise, also if something optional is missing.
    """
    screen = output.screen()
    with contextlib.suppress(ImportError, OSError, ValueError):  # found and shown again below
        quiet.import_tensorflow()
    from kd_keras.job.doctor import examination
    from kd_keras.job.doctor.finding import WRONG

    findings = examination.doctor(data_dir=data_dir)
    examination.show(findings, screen)
    output.document([dataclasses.asdict(finding) for finding in findings])
    if any(finding.state == WRONG for finding in findings):
        click.get_current_context().exit(errors.WRONG_INPUT)
