"""A new method takes two files, its own and its test's, and nothing else."""

import re
import shutil
import sys
from pathlib import Path

import keras
import pytest
from click.testing import CliRunner

from kd_keras import methods
from kd_keras.cli import kdk
from kd_keras.job.checks import precheck
from kd_keras.job.models import build
from kd_keras.job.recipe import recipe_files

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a Distiller trains on TensorFlow"
)
ROOT = Path(__file__).parents[2]

METHOD = '''"""Made up: a first stage for the pooled features, then one for the logits.

Source: nowhere.
"""

from typing import Unpack

import keras
from keras import ops

from kd_keras import check
from kd_keras.methods.base import CommonKnobs, Method


class MadeUp(Method):
    first_stage = 0.25
    needs_whole_batch = True

    def __init__(self, *, power: int, **common: Unpack[CommonKnobs]):
        super().__init__(**common)
        self.power = check.whole_number("made_up: power", power, at_least=1)

    @property
    def student_taps(self):
        return ("pooled",)

    @property
    def teacher_taps(self):
        return ("pooled",)

    def build(self, student_shape, teacher_shape):
        self.widen = keras.layers.Dense(teacher_shape["pooled"][-1], dtype="float32")
        self.widen.build(student_shape["pooled"])

    def first_stage_call(self, student, teacher, batch):
        target = ops.stop_gradient(ops.cast(teacher["pooled"], "float32"))
        return ops.mean(ops.abs(self.widen(student["pooled"]) - target), axis=-1)

    def call(self, student, teacher, batch):
        difference = student["logits"] - ops.stop_gradient(teacher["logits"])
        losses = ops.mean(ops.abs(difference) ** self.power, axis=-1)
        return ops.broadcast_to(ops.mean(losses), ops.shape(losses))
'''
TEST = """from kd_keras import methods

CONTRACT = {"power": 2}


def test_needs_a_power():
    assert methods.get("made_up", power=3).power == 3
"""


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    (tmp_path / "made_up.py").write_text(METHOD)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    yield
    sys.modules.pop("kd_keras.methods.made_up", None)


@pytest.mark.usefixtures("made_up")
def test_it_is_listed_made_and_resolved_in_a_recipe():
    assert "made_up" in methods.names()
    line = "made_up      Made up: a first stage for the pooled features, then one for the logits."
    assert line in CliRunner().invoke(kdk, ["list", "methods"]).output
    recipe = recipe_files.resolve("quickstart", {"method": "made_up:power=3,weight=0.5"})
    precheck.check_recipe(recipe)
    (method,) = build.make_methods(recipe.method, num_examples=8)
    assert (method.name, method.power, method.weight) == ("made_up", 3, 0.5)


class Outcomes:
    """A plugin of pytest that keeps each test's outcome."""

    def __init__(self):
        self.by_test = {}

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or not report.passed:
            self.by_test[report.nodeid] = report.outcome


@pytest.mark.slow
@pytest.mark.usefixtures("made_up")
def test_it_passes_the_contract_that_every_method_passes(tmp_path):
    """In a copy of the contract's suite with one file more, as a contributor adds it."""
    # Not named tests/: under that name the modules of the outer run would be found again.
    tests = tmp_path / "contributed" / "methods"
    tests.mkdir(parents=True)
    for name in ("conftest", "tiny_pair", "test_contract", "test_contract_losses"):
        shutil.copy(ROOT / "tests" / "methods" / f"{name}.py", tests)
    shutil.copytree(ROOT / "tests" / "parity", tests.parent / "parity")
    (tests / "test_made_up.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    outcomes = Outcomes()
    options = ["-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-k", "made_up"]
    code = pytest.main([*options, "-c", f"{tmp_path}/pytest.ini", str(tests)], plugins=[outcomes])
    assert code == 0
    for suite in ("test_contract", "test_contract_losses", "test_made_up"):
        for test in re.findall(r"^def (test_\w+)", (tests / f"{suite}.py").read_text(), re.M):
            ran = {o for name, o in outcomes.by_test.items() if f"{suite}.py::{test}" in name}
            assert ran == {"passed"}, test
