"""Each error message that docs/questions.md explains is one that the program can give."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^### `(.*)`$", PAGE, flags=re.MULTILINE)


def template(node):
    """A string of the code, with … for what is formatted into it; None for other nodes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) or "…" for part in node.values)
    return None


@pytest.fixture(scope="module")
def templates():
    trees = [ast.parse(path.read_text()) for path in (ROOT / "kd_keras").rglob("*.py")]
    texts = [template(node) for tree in trees for node in ast.walk(tree)]
    return [text for text in texts if text and len(text) > 12]


@pytest.mark.parametrize("message", MESSAGES)
def test_the_code_has_the_message(message, templates):
    pieces = [re.escape(piece.strip()) for piece in message.split("…") if piece.strip()]
    pattern = re.compile(".*".join(pieces), re.DOTALL)
    assert any(pattern.search(text) for text in templates)


def test_every_message_has_a_remedy():
    assert len(MESSAGES) >= 25
    for section in re.split(r"^### ", PAGE.partition("## Other questions")[0], flags=re.M)[1:]:
        assert "**Remedy:**" in section, section.splitlines()[0]
