"""Options that `--help` lists in sections."""

from typing import Any

import click


class Option(click.Option):
    """An option that `--help` lists under `section`."""

    def __init__(self, *args: Any, section: str = "Run", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.section = section


class Sectioned(click.Command):
    """A command whose `--help` lists its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record:
                sections.setdefault(getattr(option, "section", "Run"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
