import importlib.util
from pathlib import Path

import pytest

from kd_keras import methods

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def pages():
    path = ROOT / "scripts" / "method_pages.py"
    spec = importlib.util.spec_from_file_location("method_pages", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


def test_the_written_pages_are_those_of_the_code(pages):
    written = {path.name: path.read_text() for path in (ROOT / "docs" / "methods").glob("*.md")}
    stale = [name for name in {*pages, *written} if written.get(name) != pages.get(name)]
    assert not stale, f"run python scripts/method_pages.py: {sorted(stale)} differ"


def test_every_method_has_a_page_and_a_line(pages):
    for name in methods.names():
        page = pages[f"{name}.md"]
        for section in ("Formula", "Source and defaults", "Needs", "Cost", "Gain", "Departures"):
            assert f"\n## {section}" in page
        assert f"[`{name}`]({name}.md)" in pages["README.md"]


def test_every_knob_has_a_meaning(pages):
    for name, page in pages.items():
        assert "` |  |" not in page, name
