"""`kdk`, the command line: a table of commands, each imported only when it is used."""

import importlib
from typing import Any

import click

from kd_keras import check
from kd_keras.cli import errors, old_spellings, version_option

# One line about each command. Its click command is `command` in the module of that name.
_COMMANDS = {
    "train": "Distil a student from a teacher, measure the gain, export the student.",
    "export": "Write a model for phones and servers (LiteRT, ONNX, SavedModel), and check it.",
    "cache": "Save a teacher's outputs on disk, for all students that see the same views.",
    "evaluate": "Measure a model: accuracy, errors by class, calibration, size and speed.",
    "predict": "Predict the classes of images: files, folders or one from standard input.",
    "report": "Write a run's report.html: what was gained, on what, and what to try.",
    "compare": "Compare the students of two or more runs.",
    "runs": "List the runs here, finished and unfinished.",
    "app": "Drop pictures on a local page, see teacher and student answer side by side.",
    "doctor": "Say what this machine has and what is missing.",
    "list": "List datasets, models, methods and recipes.",
}


class _Table(click.Group):
    """A group that lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS]  # `list` is a module of this package once that command is imported

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if ctx.resilient_parsing and cmd_name not in _COMMANDS:
            return None  # for completion in a shell, where a message would disturb
        check.one_of("command", cmd_name, _COMMANDS, remedy="Run `kdk --help`.")
        command: click.Command = importlib.import_module(f"kd_keras.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*_COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        with errors.translate_errors(ctx), old_spellings.print_old_spellings():
            return super().invoke(ctx)


@click.group(cls=_Table, context_settings={"max_content_width": 100}, epilog=errors.EXIT_CODES)
@version_option.option
@errors.traceback_option
def kdk() -> None:
    """Knowledge distillation for Keras image classifiers."""
