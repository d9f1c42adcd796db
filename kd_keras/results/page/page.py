"""Writes a page: one HTML file with its style and its drawings inside, without any script."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kd_keras import files
from kd_keras.results.page.page_elements import Element, Section

_FOLDER = Path(__file__).parent


def write(
    path: Path,
    *,
    title: str,
    subtitle: str,
    head: Sequence[Element],
    sections: Sequence[Section],
    footer: str = "",
) -> None:
    """Writes a page, whole or not at all.

    Args:
        path: the HTML file.
        title: heading, and the title of the browser's window.
        subtitle: a line below it.
        head: what stands before the list of contents, such as the result in one sentence.
        sections: the rest of the page, in order.
        footer: a line at the end.
    """
    content = {"title": title, "subtitle": subtitle, "head": head, "sections": sections}
    text = render({**content, "footer": footer})
    with files.atomic_write(path) as new_path:
        new_path.write_text(text, encoding="utf-8")


def render(content: Mapping[str, Any]) -> str:
    """The page as HTML; texts are escaped, drawings are not."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["marked"] = _with_code_tags
    style = (_FOLDER / "page.css").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(style=style, **content) + "\n"


def _with_code_tags(text: str) -> Any:
    """The text as HTML, with options such as --epochs, and what is in backquotes, as code."""
    import markupsafe

    escaped_text = str(markupsafe.escape(text))
    as_code = re.sub(r"`([^`]+)`|(?<![\w-])(--[a-z][\w-]*)", _code, escaped_text)
    return markupsafe.Markup(as_code)


def _code(match: re.Match[str]) -> str:
    return f"<code>{match[1] or match[2]}</code>"
