import csv
import importlib.util
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kd_keras.data.stores import hashed_arrays
from kd_keras.results.report import report


@pytest.fixture(scope="module")
def browser():
    """The script that drives a headless Chromium."""
    path = Path(__file__).parents[3] / "scripts" / "chromium.py"
    spec = importlib.util.spec_from_file_location("chromium", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def report_page(make_run, tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("runs") / "whole")
    return folder, report.report(folder).read_text()


def test_the_sections_are_in_their_order(report_page):
    _, text = report_page
    names = re.findall(r'<section id="(\w+)"', text)
    assert names == [
        "models",
        "curves",
        "classes",
        "calibration",
        "teaching",
        "images",
        "exports",
        "again",
    ]


def test_it_is_one_small_file_without_scripts(report_page):
    folder, text = report_page
    assert (folder / "report.html").stat().st_size < 5e6
    assert "<script" not in text
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text)


def test_every_plot_is_a_png_and_its_numbers_a_csv(report_page):
    folder, text = report_page
    plot_names = re.findall(r'<g id="([\w-]+)-figure_1"', text)
    assert len(plot_names) == len(set(plot_names)) >= 12
    for name in plot_names:
        assert min(Image.open(folder / "report" / f"{name}.png").size) > 300
        rows = list(csv.reader((folder / "report" / f"{name}.csv").open()))
        assert len(rows) > 1
        assert {len(row) for row in rows} == {len(rows[0])}


def test_a_class_name_is_escaped(report_page):
    _, text = report_page
    assert "class &lt;3&gt;" in text
    assert "class <3>" not in text


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_a_browser_shows_it_on_a_phone_and_on_a_screen(report_page, browser):
    folder, _ = report_page
    address = (folder / "report.html").resolve().as_uri()
    with browser.page() as page:
        for width, beside in ((390, 1), (1280, 3)):
            page.look(width=width, dark=width == 390)
            page.open(address)
            assert page.evaluate("document.documentElement.scrollWidth") == width
            columns = page.evaluate(
                "new Set([...document.querySelectorAll('#curves figure')]"
                ".map(f => Math.round(f.getBoundingClientRect().x))).size"
            )
            assert columns == beside
        assert page.problems == []


TEACHER, ALONE, STUDENT = ("teacher", 4), ("baseline", 2), ("student", 3)
RUNS = {
    "no baseline, two classes": {
        "phases": {"teacher": TEACHER, "student": STUDENT},
        "classes": 2,
        "names": ["$1 bill_{x}$", "50 % off & more"],
    },
    "cached teacher": {"phases": {"baseline": ALONE, "student": STUDENT}, "teacher_cache": True},
    "nothing to compare with": {"phases": {"student": STUDENT}, "teacher_cache": True},
    "plain training": {"phases": {"student": STUDENT}},
    "students, many classes": {
        "phases": {
            "teacher": TEACHER,
            "baseline": ALONE,
            "student-1": ("student", 2),
            "student-2": STUDENT,
        },
        "classes": 200,
    },
    "generations, one epoch": {
        "phases": {
            "teacher-1": TEACHER,
            "teacher-2": TEACHER,
            "teacher": TEACHER,
            "baseline": ALONE,
            "generation-1": ("generation", 2),
            "student": STUDENT,
        },
        "epochs": 1,
    },
    "many epochs": {"epochs": 60},
}
ALONE_IN_THE_WORLD = ("nothing to compare with", "plain training")


@pytest.mark.parametrize("name", RUNS)
def test_every_kind_of_run_has_a_report(make_run, sketched, tmp_path, name):
    text = report.report(make_run(tmp_path / "run", **RUNS[name])).read_text()
    words = re.sub(r"data:[^\"]*", "", text)
    assert not re.search(r"\b(nan|None|inf)\b", words)
    assert {"accuracy", "costs", "learning-curves", "reliability"} <= set(sketched)
    assert ("class-gains" in sketched) == (name not in ALONE_IN_THE_WORLD)


def test_a_run_of_an_earlier_version_lacks_parts_and_says_so(make_run, sketched, tmp_path):
    folder = make_run(tmp_path / "run")
    for pattern in ("*.npy", "*.npz", "data.json", "provenance.json"):
        for path in folder.glob(pattern):
            path.unlink()
    text = (folder / "results.json").read_text()
    text = re.sub(r'"(calibration|agreement\w*|predictive_kl|multiply_adds)"', r'"old_\1"', text)
    (folder / "results.json").write_text(text)
    text = report.report(folder).read_text()
    for words in (
        "This run has no saved scores",
        "This run has no saved labels or predictions",
        "There are no images in this report: an earlier version made it",
        "so there are no intervals",
    ):
        assert words in text


def test_images_can_be_left_out(make_run, sketched, tmp_path):
    folder = make_run(tmp_path / "run")
    assert report.report(folder).read_text().count("data:image/png") == 20
    text = report.report(folder, images=False).read_text()
    assert "data:image" not in text
    assert "--no-images" in text


def test_a_failure_leaves_the_earlier_report(make_run, sketched, tmp_path, monkeypatch):
    folder = make_run(tmp_path / "run")
    before = report.report(folder).read_bytes()
    hashed_arrays.save(folder / "student-predictions.npy", np.full(300, 99))
    with pytest.raises(ValueError, match="reshape"):
        report.report(folder)
    assert (folder / "report.html").read_bytes() == before
