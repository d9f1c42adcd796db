import json

import pytest

from kd_keras.job.hardware import devices, tf_config
from kd_keras.job.hardware.tf_config import Task

TWO = {"worker": ["a:1", "b:1"]}


def config(cluster, kind, index):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("", None),
        (config({"worker": ["a:1"]}, "worker", 0), None),
        (config(TWO, "worker", 1), Task(1, 2)),
        (config({"chief": ["a:1"], **TWO}, "chief", 0), Task(0, 3)),
        (config({"chief": ["a:1"], **TWO}, "worker", 1), Task(2, 3)),
    ],
)
def test_the_place_of_a_process(monkeypatch, text, task):
    monkeypatch.setenv("TF_CONFIG", text)
    assert tf_config.read() == task


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "which cannot be read"),
        ("[1]", "which cannot be read"),
        (config({"ps": ["c:1"], **TWO}, "worker", 0), "with tasks of type 'ps'"),
        (config(TWO, "evaluator", 0), "with tasks of type 'evaluator'"),
        (config(TWO, "worker", 2), "with worker 2 of 2"),
    ],
)
def test_another_tf_config_is_refused_with_a_message(monkeypatch, text, fault):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=fault) as failure:
        tf_config.read()
    assert "unset it to train on this machine alone" in str(failure.value)


def test_several_cpu_devices_in_each_of_several_processes_are_refused(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config(TWO, "worker", 0))
    with pytest.raises(ValueError, match=r"expected cpu:1, one replica in each process"):
        devices.get.__wrapped__("cpu:2")
