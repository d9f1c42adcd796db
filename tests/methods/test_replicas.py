"""Two replicas give what one device gives: every method, on the batches of `kdk train`."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.parts import requirements

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow", reason="a Distiller trains on TensorFlow"
    ),
]


def results_of(kind, path):
    script = Path(__file__).with_name("two_replicas_of_methods.py")
    command = [sys.executable, str(script), str(path), kind]
    result = subprocess.run(command, capture_output=True, text=True, cwd=script.parents[2])
    assert result.returncode == 0, result.stderr[-5000:]
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return results_of("together", tmp_path_factory.mktemp("replicas") / "results.json")


def require_same(one, two):
    assert set(one["logs"]) == set(two["logs"])
    for name, value in one["logs"].items():
        np.testing.assert_allclose(two["logs"][name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    for kind in ("weights", "parts"):
        for (expected,), (first, second) in zip(one[kind], two[kind], strict=True):
            assert first == second, f"the replicas keep different {kind}"
            np.testing.assert_allclose(first, expected, rtol=0, atol=1e-6, err_msg=kind)


def require_same_alone(name, one, two):
    require_same(one, two)
    deploys_student = requirements.deploy_student([methods.get(name)])
    logged = {name, "loss"} | ({"top1", "top5"} if deploys_student else set())
    assert logged <= set(two["logs"])


def test_every_method_is_trained(results):
    together = [name for members in results["members"].values() for name in members]
    assert sorted([*together, *results["alone"]]) == sorted(methods.names())


def test_two_replicas_give_what_one_gives_where_no_cache_can_teach(results):
    assert {"dml", "simkd"} <= set(results["alone"])
    for name, pair in results["alone"].items():
        require_same_alone(name, *pair)


def test_two_replicas_give_what_one_gives_with_a_cached_teacher_and_a_compiled_step(results):
    assert {"1 views, 1 stages", "2 views, 1 stages"} <= set(results["together"])
    for group, pair in results["together"].items():
        require_same(*pair)
        assert set(results["members"][group]) <= set(pair[1]["logs"])


@pytest.mark.sweep
def test_two_replicas_give_what_one_gives_with_the_teacher_beside_them(tmp_path):
    pairs = results_of("alone", tmp_path / "results.json")["alone"]
    assert len(pairs) > 20
    for name, pair in pairs.items():
        require_same_alone(name, *pair)
