"""Two replicas give what one device gives: every method, on the batches of `kdk train`."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods import base

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="a Distiller trains on TensorFlow"
    ),
]
NAMES = methods.names()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("replicas") / "results.json"
    script = Path(__file__).with_name("two_replicas_of_methods.py")
    command = [sys.executable, str(script), str(path), *NAMES]
    done = subprocess.run(command, capture_output=True, text=True, cwd=script.parents[2])
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(path.read_text())


def require_same(one, two):
    assert set(one["logs"]) == set(two["logs"])
    for name, value in one["logs"].items():
        np.testing.assert_allclose(two["logs"][name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    for kind in ("weights", "parts"):
        for (expected,), (first, second) in zip(one[kind], two[kind], strict=True):
            assert first == second, f"the replicas keep different {kind}"
            np.testing.assert_allclose(first, expected, rtol=0, atol=1e-6, err_msg=kind)


@pytest.mark.parametrize("name", NAMES)
def test_two_replicas_give_what_one_gives_with_the_teacher_beside_them(name, results):
    require_same(*results[name])
    deploys_student = base.deploy_student([methods.get(name)])
    logged = {name, "loss"} | ({"top1", "top5"} if deploys_student else set())
    assert logged <= set(results[name][1]["logs"])


def test_two_replicas_give_what_one_gives_with_a_cached_teacher_and_a_compiled_step(results):
    groups = {name: pair for name, pair in results.items() if name not in NAMES}
    assert {"1 views, 1 stages", "2 views, 1 stages"} <= set(groups)
    for pair in groups.values():
        require_same(*pair)
