"""Broken input ends well or in one message: 500 random cases; scripts/fuzz.py runs more."""

import importlib.util
import random
import shutil
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def load(name):
    """A module beside this one, under its name, as scripts/fuzz.py imports it."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


load("broken_files")
load("fuzz_models")
fuzz_cases = load("fuzz_cases")
COUNTS = {
    **{"recipe": 110, "command_line": 110, "image_bytes": 60, "zip_members": 50, "run_folder": 40},
    **{"teacher_cache": 30, "store": 30, "run_scores": 20, "checkpoint": 15, "keras_file": 10},
    **{"data_folder": 5, "saved_model": 8, "onnx_file": 12},
}
SECONDS = 10  # no case may take longer, whatever it is given


@pytest.fixture(autouse=True)
def quick_commands(monkeypatch, tmp_path):
    """Commands check their recipe, and train and open nothing."""
    from kd_keras.cli import quiet
    from kd_keras.job import train
    from kd_keras.job.cache import make_cache
    from kd_keras.job.checks import precheck

    def checked(recipe, **options):
        precheck.check_recipe(recipe)
        raise ValueError("the recipe is right; nothing is run here")

    monkeypatch.setattr(train, "run", checked)
    monkeypatch.setattr(make_cache, "run", checked)
    monkeypatch.setattr(quiet, "import_tensorflow", lambda: None)
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_there_are_500_cases_of_every_kind():
    assert sum(COUNTS.values()) == 500
    assert COUNTS.keys() == fuzz_cases.CASES.keys()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COUNTS)
def test_broken_input_ends_well_or_in_a_message(name, tmp_path):
    @settings(
        max_examples=COUNTS[name],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.integers(0, 2**32 - 1))
    def check(seed):
        start = time.process_time()
        fuzz_cases.outcome(fuzz_cases.CASES[name], random.Random(seed), tmp_path / "case")
        assert time.process_time() - start < SECONDS

    check()
    shutil.rmtree(tmp_path / "case", ignore_errors=True)
