"""Pages that list the methods with a property list all of them."""

import re
from pathlib import Path

import pytest

from kd_keras import methods

DOCS = Path(__file__).parent.parent / "docs"
LISTS = [
    ("questions.md", r"\*\*Cause:\*\* (.*) need the model itself", "needs_teacher_model"),
    ("scale.md", r"methods of the whole batch \((.*?)\)", "needs_whole_batch"),
]


@pytest.mark.parametrize(("page", "pattern", "attribute"), LISTS)
def test_a_page_lists_every_method_with_the_property(page, pattern, attribute):
    (text,) = re.findall(pattern, (DOCS / page).read_text())
    assert sorted(re.findall(r"`(\w+)`", text)) == [
        name for name in methods.names() if getattr(methods.get(name), attribute)
    ]
