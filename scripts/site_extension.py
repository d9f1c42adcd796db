"""Markdown extension of the documentation site: what is made while the site is built.

A line `::: kdk` becomes the reference of every command, from click. A fence of Mermaid, which
GitHub draws with a script, becomes an SVG picture, so that the site needs no script from elsewhere.
Code in a line gets a class by its length: see `docs/stylesheets/site.css`.
"""

import html
import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

import click
import markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor
from markdown.treeprocessors import Treeprocessor
from markdown.util import HTML_PLACEHOLDER_RE

from scripts import site_drawing

COMMANDS = "::: kdk"
SHORT, LONG = 24, 80  # characters that fit into a line of a telephone, and of a page
_AFTER_INLINE = 15  # python-markdown makes `code` elements at 20
_BEFORE_FENCES = 28  # python-markdown cleans whitespace at 30, and reads fences at 25


class SiteExtension(Extension):
    """Registers the two replacements, and the classes of code."""

    def extendMarkdown(self, md: markdown.Markdown) -> None:
        md.preprocessors.register(_Replacements(md), "kd_keras_site", _BEFORE_FENCES)
        md.treeprocessors.register(_CodeLengths(md), "kd_keras_code", _AFTER_INLINE)


def makeExtension(**options: Any) -> SiteExtension:
    """What Markdown looks for in the module of an extension."""
    return SiteExtension(**options)


class _CodeLengths(Treeprocessor):
    def run(self, root: Element) -> None:
        for code in root.iter("code"):
            length = len(self._text(code))
            name = "kd-short" if length <= SHORT else "kd-long" if length > LONG else ""
            if name:
                code.set("class", f"{code.get('class', '')} {name}".strip())

    def _text(self, code: Element) -> str:
        """What a reader sees; pymdownx leaves placeholders in the elements."""
        blocks = self.md.htmlStash.rawHtmlBlocks
        text = HTML_PLACEHOLDER_RE.sub(
            lambda place: blocks[int(place[1])], "".join(code.itertext())
        )
        return html.unescape(text)


class _Replacements(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        text = re.sub(
            r"^```mermaid\n(.*?)^```$",
            lambda fence: self.md.htmlStash.store(site_drawing.svg(fence[1])),
            "\n".join(lines),
            flags=re.MULTILINE | re.DOTALL,
        )
        return [
            section
            for line in text.split("\n")
            for section in (commands() if line.strip() == COMMANDS else [line])
        ]


def commands() -> Iterator[str]:
    """Markdown of every command of `kdk`, hidden ones left out."""
    from kd_keras.cli import kdk  # here, so that other pages do without it

    top = click.Context(kdk, info_name="kdk", **kdk.context_settings)
    for name in kdk.list_commands(top):
        command = kdk.get_command(top, name)
        if command and not command.hidden:
            yield from _command(command, name, top)


def _command(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    yield from ["", f"## kdk {name}", ""]
    for paragraph in (command.help or "").split("\n\n"):
        listing = paragraph.lstrip().startswith("\b")
        yield from _listing(paragraph) if listing else [_escaped(paragraph), ""]
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield from ["```text", usage, "```", ""]
    for title, records in _sections(command, context).items():
        yield from [f"### {title} {{ #kdk-{name}-{title.lower().replace(' ', '-')} }}", ""]
        for option, about in records:
            yield from [f"`{option}`", f":   {_escaped(about)}", ""]
    if command.epilog:
        yield from [_escaped(command.epilog), ""]


def _listing(paragraph: str) -> list[str]:
    """A paragraph that click does not wrap: an example of commands."""
    return ["```bash", *paragraph.replace("\b", "").strip("\n").split("\n"), "```", ""]


def _sections(command: click.Command, context: click.Context) -> dict[str, list[tuple[str, str]]]:
    options = command.get_params(context)
    titles = [option.section for option in options if hasattr(option, "section")]
    other_title = titles[0] if titles else "Options"  # for click's own, such as --help
    sections: dict[str, list[tuple[str, str]]] = {}
    for option in options:
        record = option.get_help_record(context)
        if record and record[1]:  # an argument has no help of its own
            sections.setdefault(getattr(option, "section", other_title), []).append(record)
    return sections


def _escaped(text: str) -> str:
    """Help as Markdown: one paragraph, nothing in it taken for HTML, emphasis or a link."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(
        part
        if part.startswith("`")
        else re.sub(r"([\\*_\[\]{}#])", r"\\\1", part).replace("<", "&lt;")
        for part in parts
    )
