"""Draws the packages of kd_keras and what they import, as the drawing in docs/architecture.md.

The arrows come from the imports in the code. An arrow is left out where a longer way along other
arrows says the same. A test checks that the drawing is that of the code.

    python scripts/architecture.py
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "kd_keras"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawing: begin -->\n", "<!-- drawing: end -->"
Edges = dict[str, set[str]]


def main() -> None:
    PAGE.write_text(with_drawing(PAGE.read_text()))
    print(f"{sum(map(len, shortest(edges()).values()))} arrows in {PAGE.relative_to(ROOT)}")


def with_drawing(page: str) -> str:
    """The page with the drawing of today's imports between its two marks."""
    text_before, _, text_after = page.partition(BEGIN)
    _, _, after = text_after.partition(END)
    return f"{text_before}{BEGIN}{drawing()}{END}{after}"


def drawing() -> str:
    arrows = shortest(edges())
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {package}" for package in sorted(arrows)]
    lines += [
        f"    {package} --> {other}"
        for package in sorted(arrows)
        for other in sorted(arrows[package])
    ]
    return "\n".join([*lines, "```", ""])


def edges() -> Edges:
    """The packages that each package imports from; a file directly in kd_keras/ is one too."""
    packages = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    packages -= {"__init__", "__main__", "__pycache__"}
    graph: Edges = {package: set() for package in packages}
    for path in PACKAGE.rglob("*.py"):
        package = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if package in packages:
            graph[package] |= (_imported(path) & packages) - {package}
    return graph


def _imported(path: Path) -> set[str]:
    """First names below kd_keras that a file imports from."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "kd_keras":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kd_keras."):
            names.add(str(node.module).split(".")[1])
    return names


def shortest(edges: Edges) -> Edges:
    """The edges without those that a path of other edges makes up for."""

    def reached(package: str) -> set[str]:
        return edges[package] | {end for other in edges[package] for end in reached(other)}

    return {
        package: imports - {end for other in imports for end in reached(other)}
        for package, imports in edges.items()
    }


if __name__ == "__main__":
    main()
