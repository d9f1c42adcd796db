"""The check of the built documentation site."""

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parent.parent / "scripts" / "check_site.py"
spec = importlib.util.spec_from_file_location("check_site", PATH)
check_site = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_site)


@pytest.fixture
def faults(tmp_path):
    """From the body of index.html to the faults of a site of two pages."""
    docs, site = tmp_path / "docs", tmp_path / "site"
    (docs / "methods").mkdir(parents=True)
    (site / "methods").mkdir(parents=True)
    (docs / "index.md").write_text("# Home")
    (docs / "methods" / "README.md").write_text("# Methods")
    (site / "methods" / "index.html").write_text('<h2 id="kd">kd</h2>')

    def of(body):
        (site / "index.html").write_text(f"<html>{body}</html>")
        return check_site.main(site, docs)

    return of


@pytest.mark.parametrize(
    "body",
    [
        '<a href="methods/#kd">kd</a>',
        '<a href="methods/index.html">all</a>',
        '<a href="https://arxiv.org/abs/1503.02531">paper</a>',
        '<script src="assets/a.js"></script>',
    ],
)
def test_a_whole_site_has_no_faults(faults, body):
    assert faults(body) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('<script src="https://unpkg.com/a.js"></script>', "loads https://unpkg.com/a.js"),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', "loads //fonts.example/a.css"),
        ('<a href="gone.html">x</a>', "links to gone.html, which is not in the site"),
        ('<a href="methods/#dkd">x</a>', "links to methods/#dkd; that page has no such place"),
    ],
)
def test_faults_are_named(faults, body, message):
    (fault,) = faults(body)
    assert message in fault


def test_a_missing_page_and_a_missing_site_are_named(faults, tmp_path):
    (tmp_path / "docs" / "new.md").write_text("# New")
    assert faults("") == ["docs/new.md has no page in the site; expected new.html."]
    (tmp_path / "site" / "new.html").write_text("new")
    assert faults("") == ["docs/new.md is not in the navigation. Add it to nav in zensical.toml."]
    assert faults('<a href="new.html">new</a>') == []
    (fault,) = check_site.main(tmp_path / "nothing", tmp_path / "docs")
    assert "Run `python -m zensical build`" in fault


def test_a_member_that_the_site_lacks_is_named(faults, tmp_path):
    options = "    options:\n      members: [fit, evaluate]\n"
    (tmp_path / "docs" / "index.md").write_text(f"# Home\n\n::: app.Model\n{options}")
    assert faults('<h3 id="app.Model.fit"></h3>') == [
        "docs/index.md lists evaluate of app.Model, which the site lacks."
    ]
