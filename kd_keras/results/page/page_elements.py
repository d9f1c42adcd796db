"""What a page is made of: sections of texts, tables, plots and pictures, in order."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: plain text; the page escapes it. Options and what is in backquotes become code.
        look: "plain"; "lead" is large; "good", "bad" and "note" have a coloured edge.
    """

    kind: ClassVar[str] = "text"
    text: str
    look: str = "plain"


@dataclasses.dataclass(frozen=True)
class Table:
    """A table, its first column left-aligned and the others right-aligned.

    Attributes:
        columns: headings.
        rows: for each row a value for each column, shown by `str`; None shows as a dash.
        caption: what it shows; "" for none.
        left: headings of further columns that are left-aligned, such as texts.
        summary: if not "", the table is folded behind this line.
        strong: indices of the rows to stress.
    """

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    left: Sequence[str] = ()
    summary: str = ""
    strong: Sequence[int] = ()


@dataclasses.dataclass(frozen=True)
class Plot:
    """A figure, from `plots.plot`.

    Attributes:
        name: name of its PNG and CSV files, without the ending.
        caption: what it shows and how to read it.
        svg: the drawing, as text to be put into HTML.
        wide: whether it takes the whole width of the page.
    """

    kind: ClassVar[str] = "plot"
    name: str
    caption: str
    svg: str
    wide: bool = False


@dataclasses.dataclass(frozen=True)
class Code:
    """A command or a file's text, to be copied."""

    kind: ClassVar[str] = "code"
    text: str


@dataclasses.dataclass(frozen=True)
class Bars:
    """A name and a share, 0 to 1, for each bar beside a picture."""

    title: str
    shares: Mapping[str, float]
    right: str = ""


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image with bars below it.

    Attributes:
        uri: a data: URI of a PNG.
        title: its true class.
        bars: groups of bars, one a model.
        note: a line below the title; "" for none.
    """

    uri: str
    title: str
    bars: Sequence[Bars] = ()
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Images beside each other."""

    kind: ClassVar[str] = "pictures"
    pictures: Sequence[Picture]
    caption: str = ""


Element = Text | Table | Plot | Code | Pictures


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page with a heading and an entry in the list of contents.

    Attributes:
        name: its anchor, one word.
        title: heading.
        elements: what it holds. Plots that follow each other stand side by side on a wide screen,
            and so do tables that are not folded.
    """

    name: str
    title: str
    elements: Sequence[Element]

    @property
    def groups(self) -> list[list[Element]]:
        """The parts in runs: plots that follow each other are one group, and so are tables."""
        groups: list[list[Element]] = []
        for element in self.elements:
            previous_element = groups[-1][-1] if groups else None
            if (
                previous_element is not None
                and element.kind == previous_element.kind
                and _may_stand_beside(element)
                and _may_stand_beside(previous_element)
            ):
                groups[-1].append(element)
            else:
                groups.append([element])
        return groups


def _may_stand_beside(element: Element) -> bool:
    """Whether a part may stand beside others of its kind."""
    return isinstance(element, Plot) or (isinstance(element, Table) and not element.summary)
