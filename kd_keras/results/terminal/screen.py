"""What a run prints: lines, warnings, progress bars, tables; plain text without a terminal."""

import contextlib
import datetime
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kd_keras.results.terminal import wrapping

# Wider than any table, so that output to a file is neither wrapped nor cut.
_UNBOUNDED = 10_000


class Screen:
    """Lines and tables on stdout, bars and warnings on stderr; both are looked up at each call.

    Args:
        quiet: print results (`result`, `table`) and warnings only, without bars.
        verbose: print details too.
    """

    quiet = verbose = False

    def __init__(self, *, quiet: bool = False, verbose: bool = False):
        self.quiet, self.verbose = quiet, verbose

    def say(self, text: str) -> None:
        """Prints a line on what happens, unless the screen is quiet."""
        if not self.quiet:
            _print(text)

    def result(self, text: str) -> None:
        """Prints a line that people ran the command for, also on a quiet screen."""
        if self.quiet:
            _print(text)
        else:
            self.say(text)

    def detail(self, text: str) -> None:
        """Prints a line on a verbose screen."""
        if self.verbose:
            self.say(text)

    def warn(self, text: str) -> None:
        """Prints a line that starts with "warning: "."""
        print(f"warning: {text}", file=sys.stderr, flush=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Prints a table, its first column left-aligned and the others right-aligned.

        In a narrow terminal, the first column wraps; no cell is cut.

        Args:
            title: line above the table.
            columns: names of the columns.
            rows: for each row a value per column, shown by `str`; None shows as "-".
        """
        from rich import box, table, text

        console = _console(sys.stdout)
        grid = table.Table(
            title=text.Text(title),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            collapse_padding=True,
        )
        for index, column in enumerate(columns):
            justify: Any = "right" if index else "left"
            grid.add_column(
                text.Text(column), justify=justify, overflow="fold", no_wrap=bool(index)
            )
        for row in rows:
            grid.add_row(*(text.Text("-" if cell is None else str(cell)) for cell in row))
        console.print(grid)

    @contextlib.contextmanager
    def progress(
        self, what: str, total: int, unit: str = "images"
    ) -> Iterator[Callable[..., None]]:
        """Shows a bar with rate and time left during the block, if stderr is a terminal.

        A quiet screen shows none.

        Args:
            what: name of the work, in a few words.
            total: number of units to do.
            unit: name of the units.

        Yields:
            `advance(n=1, **fields)`: n more units are done; fields (name to number or text) show.
        """
        console = _console(sys.stderr)
        if self.quiet or not console.is_terminal:
            yield lambda n=1, **fields: None
            return
        from rich import progress

        # If stdout is a file, its lines must not be drawn into the terminal's bar.
        to_terminal = sys.stdout.isatty()
        columns = _columns(unit, console.width)
        with progress.Progress(*columns, console=console, redirect_stdout=to_terminal) as bar:
            task = bar.add_task(what, total=total, fields="")

            def advance(n: int = 1, **fields: Any) -> None:
                if fields:
                    bar.update(task, fields=_format_fields(fields))
                bar.advance(task, n)

            yield advance


def _print(text: str) -> None:
    print(wrapping.wrapped(text, sys.stdout), flush=True)


def _console(file: Any) -> Any:
    """A rich console that prints brackets and colons unchanged."""
    from rich import console

    plain = console.Console(file=file, markup=False, highlight=False, emoji=False)
    if not plain.is_terminal:
        plain.width = _UNBOUNDED
    return plain


def _columns(unit: str, width: int) -> list[Any]:
    """A bar, and beside it a text whose end is cut in a narrow terminal."""
    from rich import progress, text

    length = 20 if width >= 100 else 10

    class Status(progress.ProgressColumn):
        def render(self, task: progress.Task) -> text.Text:
            status = text.Text(_status(task, unit), no_wrap=True)
            status.truncate(max(width - length - 1, 1), overflow="ellipsis")
            return status

    return [progress.BarColumn(bar_width=length), Status()]


def _status(task: Any, unit: str) -> str:
    speed = task.finished_speed or task.speed
    seconds = task.finished_time if task.finished else task.time_remaining
    time = "" if seconds is None else str(datetime.timedelta(seconds=round(seconds)))
    phrases = [
        task.description,
        f"{task.completed:,.0f}/{task.total:,.0f}",
        f"{speed:,.0f} {unit}/s" if speed else "",
        f"{time} {'in all' if task.finished else 'left'}" if time else "",
        task.fields["fields"],
    ]
    return "  ".join(filter(None, phrases))


def _format_fields(fields: dict[str, Any]) -> str:
    values = {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in fields.items()}
    return "  ".join(f"{name} {value}" for name, value in values.items())
