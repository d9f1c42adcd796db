"""What a person sees of a run: lines, warnings, bars, tables; plain text where no terminal is."""

import contextlib
import datetime
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# Wider than any table: what goes to a file is neither wrapped nor cut.
_UNBOUNDED = 10_000


class Screen:
    """Lines and tables on stdout, bars and warnings on stderr, looked up at each call."""

    def say(self, text: str) -> None:
        """Prints a line as it is."""
        print(text, flush=True)

    def warn(self, text: str) -> None:
        """Prints a line that begins with "warning: "."""
        print(f"warning: {text}", file=sys.stderr, flush=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Prints rows under their column names, the first column left and the others right.

        Where the terminal is narrow, the first column breaks into lines; no cell is cut.

        Args:
            title: a line above.
            columns: their names.
            rows: a value for each column, shown as `str` gives it; None shows as "-".
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
        """A bar with rate and time left while the block runs; silent unless stderr is a terminal.

        Args:
            what: the work, in a few words.
            total: how many `unit` there are to do.
            unit: what is counted.

        Yields:
            `advance(n=1, **fields)`: n more are done; fields (name to number or text) show beside.
        """
        console = _console(sys.stderr)
        if not console.is_terminal:
            yield lambda n=1, **fields: None
            return
        from rich import progress

        # stdout that goes to a file must not be drawn into the terminal's bar.
        to_terminal = sys.stdout.isatty()
        columns = _columns(unit, console.width)
        with progress.Progress(*columns, console=console, redirect_stdout=to_terminal) as bar:
            task = bar.add_task(what, total=total, noted="")

            def advance(n: int = 1, **fields: Any) -> None:
                if fields:
                    bar.update(task, noted=_noted(fields))
                bar.advance(task, n)

            yield advance


def _console(file: Any) -> Any:
    """A rich console that takes brackets and colons in text for what they are."""
    from rich import console

    made = console.Console(file=file, markup=False, highlight=False, emoji=False)
    if not made.is_terminal:
        made.width = _UNBOUNDED
    return made


def _columns(unit: str, width: int) -> list[Any]:
    """A bar, and beside it a text that is cut at its end where the terminal is narrow."""
    from rich import progress, text

    length = 20 if width >= 100 else 10

    class Status(progress.ProgressColumn):
        def render(self, task: progress.Task) -> text.Text:
            shown = text.Text(_status(task, unit), no_wrap=True)
            shown.truncate(max(width - length - 1, 1), overflow="ellipsis")
            return shown

    return [progress.BarColumn(bar_width=length), Status()]


def _status(task: Any, unit: str) -> str:
    speed = task.finished_speed or task.speed
    seconds = task.finished_time if task.finished else task.time_remaining
    time = "" if seconds is None else str(datetime.timedelta(seconds=round(seconds)))
    parts = [
        task.description,
        f"{task.completed:,.0f}/{task.total:,.0f}",
        f"{speed:,.0f} {unit}/s" if speed else "",
        f"{time} {'in all' if task.finished else 'left'}" if time else "",
        task.fields["noted"],
    ]
    return "  ".join(filter(None, parts))


def _noted(fields: dict[str, Any]) -> str:
    shown = {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in fields.items()}
    return "  ".join(f"{name} {value}" for name, value in shown.items())
