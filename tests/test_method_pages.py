import functools
import importlib.util
import re
from pathlib import Path

import pytest

from kd_keras import methods, models
from kd_keras.graph import twins
from kd_keras.job.recipe import recipe_files
from kd_keras.methods.parts import requirements

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def pages():
    path = ROOT / "scripts" / "method_pages.py"
    spec = importlib.util.spec_from_file_location("method_pages", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


def test_the_written_pages_are_those_of_the_code(pages):
    files = {path.name: path.read_text() for path in (ROOT / "docs" / "methods").glob("*.md")}
    stale = [name for name in {*pages, *files} if files.get(name) != pages.get(name)]
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


@pytest.fixture(scope="module")
def default_pair():
    """Student and teacher of the default recipe, for 10 classes."""
    recipe = recipe_files.load("tiny_imagenet")

    def make(text):
        name, knobs = recipe_files.parse_spec(text)
        return models.get(name, **knobs, num_classes=10, input_shape=(32, 32, 3))

    return make(recipe.student[0]), make(recipe.teacher[0])


@pytest.fixture(scope="module")
def shapes_of(default_pair):
    """shapes_of(role, taps) gives the shapes of a default model's taps; many methods share them."""
    roles = dict(zip(("student", "teacher"), default_pair, strict=True))
    return functools.cache(
        lambda role, taps: twins.Twin(roles[role], taps, precision="float32").shapes
    )


@pytest.mark.parametrize("name", methods.names())
def test_the_command_of_a_page_works_with_the_default_models(name, pages, default_pair, shapes_of):
    (text,) = re.findall(r"^kdk train .*--method (\S+)", pages[f"{name}.md"], re.MULTILINE)
    method_name, knobs = recipe_files.parse_spec(text)
    needed = {"num_examples": 100} if "num_examples" in type(methods.get(name)).knobs() else {}
    method = methods.get(method_name, **knobs, **needed)
    taps = {role: tuple(requirements.taps_of(role, [method])) for role in ("student", "teacher")}
    method.build_for(*(shapes_of(role, names) for role, names in taps.items()))
    method.attach(*default_pair)
