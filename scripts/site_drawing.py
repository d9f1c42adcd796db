"""A Mermaid flowchart as SVG, drawn in rows: each box lies below all boxes that point to it."""

import re
from html import escape

WIDTH, ROW, BOX_HEIGHT, LETTER = 720, 78, 32, 8.6  # pixels


def svg(flowchart: str) -> str:
    """The drawing of the lines `a --> b` of a Mermaid flowchart.

    Args:
        flowchart: text of the fence, with edges but no labels and no circles.

    Raises:
        ValueError: there is no edge, or the edges run in a circle.
    """
    edges = [(a, b) for a, b in re.findall(r"^\s*(\w+) --> (\w+)\s*$", flowchart, re.MULTILINE)]
    places = _places(_rows(edges))
    height = max(y for _, y in places.values()) + BOX_HEIGHT
    text = ", ".join(f"{a} imports {b}" for a, b in edges)
    return "\n".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" class="kd-drawing">',
            f"<title>{escape(text)}</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="currentColor"/>'
            "</marker></defs>",
            *(_arrow(places[a], places[b]) for a, b in edges),
            *(_box(name, *place) for name, place in places.items()),
            "</svg>",
        ]
    )


def _rows(edges: list[tuple[str, str]]) -> list[list[str]]:
    """Names by row: a name's row is the longest way to it."""
    if not edges:
        raise ValueError("the flowchart has no line such as `a --> b`; expected one or more.")
    depth = dict.fromkeys(sorted({name for edge in edges for name in edge}), 0)
    for _ in depth:
        for a, b in edges:
            depth[b] = max(depth[b], depth[a] + 1)
    if max(depth.values()) >= len(depth):
        raise ValueError(f"the flowchart's edges {edges} run in a circle; expected none.")
    rows: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name, row in depth.items():
        rows[row].append(name)
    return rows


def _places(rows: list[list[str]]) -> dict[str, tuple[float, float]]:
    """Middle of each box. A row with one box is moved aside, so that arrows pass it in the open."""
    places = {}
    for number, row in enumerate(rows):
        for column, name in enumerate(row):
            shift = (-1) ** number * 60 if len(row) == 1 and 0 < number < len(rows) - 1 else 0
            x = WIDTH * (column + 0.5) / len(row) + shift
            places[name] = (x, number * ROW + BOX_HEIGHT / 2 + 1)
    return places


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    y1, y2 = y1 + BOX_HEIGHT / 2, y2 - BOX_HEIGHT / 2
    middle = (y1 + y2) / 2
    return (
        f'<path d="M{x1:.0f} {y1:.0f}C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} '
        f'{x2:.0f} {y2:.0f}" fill="none" stroke="currentColor" marker-end="url(#tip)"/>'
    )


def _box(name: str, x: float, y: float) -> str:
    width = LETTER * len(name) + 20
    return (
        f'<rect x="{x - width / 2:.0f}" y="{y - BOX_HEIGHT / 2:.0f}" width="{width:.0f}" '
        f'height="{BOX_HEIGHT}" rx="4" class="kd-box"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" fill="currentColor" '
        f'font-size="14">{escape(name)}</text>'
    )
