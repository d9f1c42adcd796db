"""Losses and gradients against values that the authors' own code gave (float64).

Every .npz of the folder is a case; `config["method"]` chooses the adapter, which a method's own
test file offers as `GOLDENS = {"method": adapter}`. An adapter takes the case's arrays as tensors
and its config, and returns named results: `loss`, every `loss_X`, every `out_Y`.
KD_KERAS_PARITY names another folder of cases in the same format.
"""

import functools
import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
CASES = sorted(Path(os.environ.get("KD_KERAS_PARITY", HERE)).glob("*.npz"))


def load_module(path):
    spec = importlib.util.spec_from_file_location(f"parity_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


autodiff = load_module(HERE / "autodiff.py")


@functools.cache
def adapters():
    goldens = {}
    for path in sorted(HERE.parent.glob("*/test_*.py")):
        if "GOLDENS = {" in path.read_text() and path.parent != HERE:
            goldens |= load_module(path).GOLDENS
    return goldens


def test_there_are_cases():
    assert CASES, f"no .npz in {os.environ.get('KD_KERAS_PARITY', HERE)}"


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_golden(path):
    case = dict(np.load(path))
    config = json.loads(str(case.pop("config")))
    assert config["method"] in adapters(), f"{path.name}: no method claims {config['method']!r}"
    adapter = adapters()[config["method"]]
    if getattr(adapter, "checks_itself", False):
        return adapter(case, config)

    expected = {k: v for k, v in case.items() if k.startswith(("loss", "out_"))}
    gradients = {k: v for k, v in case.items() if k.startswith("grad_")}
    inputs = {k: v for k, v in case.items() if k not in expected and k not in gradients}
    expected_gradients = {name: gradient_of(name) for name in gradients}
    result, actual_gradients = autodiff.values_and_gradients(
        lambda tensors: adapter(tensors, config), inputs, expected_gradients.values()
    )
    for name, value in expected.items():
        check(name, result[name], value, config["tol"])
    for name, value in gradients.items():
        check(name, actual_gradients[expected_gradients[name]], value, config["tol"])
    return None


def gradient_of(name):
    """`grad_A` differentiates `loss` with respect to A, `grad_A__X` differentiates `loss_X`."""
    array, _, part = name.removeprefix("grad_").partition("__")
    return (f"loss_{part}" if part else "loss"), array


def check(name, actual, expected, tolerance):
    if name.startswith("loss"):
        limit = tolerance["loss_rtol"] * abs(expected) + tolerance["loss_atol"].get(name, 0)
        off = abs(np.mean(actual, dtype="float64") - expected)
    else:
        limit = tolerance["grad_rtol"] * np.linalg.norm(expected)
        limit += tolerance["grad_atol"].get(name, 0)
        assert np.shape(actual) == np.shape(expected), name
        off = np.linalg.norm(np.asarray(actual, "float64") - expected)
    assert off <= limit, f"{name}: off by {off:.3g}, allowed {limit:.3g}"
