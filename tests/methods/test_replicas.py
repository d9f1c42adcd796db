"""Two replicas give what one device gives, for methods that could go wrong there."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kd_keras import methods

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a Distiller trains on TensorFlow"
)


def _could_differ(name):
    method = methods.get(name)
    trains_a_number_of_its_own = name == "ctkd"
    return method.whole_batch or method.first_stage > 0 or trains_a_number_of_its_own


NAMES = [name for name in methods.names() if _could_differ(name)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("replicas") / "results.json"
    script = Path(__file__).with_name("two_replicas_of_methods.py")
    command = [sys.executable, str(script), str(path), *NAMES]
    done = subprocess.run(command, capture_output=True, text=True, cwd=script.parents[2])
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", NAMES)
def test_two_replicas_give_what_one_gives(name, results):
    one, two = results[name]
    np.testing.assert_allclose(two["cost"], one["cost"], rtol=1e-4, atol=1e-6)
    for kind in ("weights", "parts"):
        for (expected,), (first, second) in zip(one[kind], two[kind], strict=True):
            assert first == second, f"the replicas keep different {kind}"
            np.testing.assert_allclose(first, expected, rtol=0, atol=1e-6, err_msg=kind)
