import shutil
from types import SimpleNamespace

import pytest

from kd_keras.graph import precision
from kd_keras.job.doctor import machine
from kd_keras.job.hardware import devices


@pytest.fixture
def findings(tmp_path, monkeypatch):
    """named() gives the findings by name, for a cache folder and a working folder of the test."""
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return lambda: {finding.name: finding for finding in machine.findings()}


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (set(), "auto is float32: no avx512_bf16 or amx_bf16 here"),
        ({"amx_bf16"}, "auto is mixed_bfloat16: the processor has hardware for it"),
    ],
)
def test_the_precision_comes_with_its_reason(findings, monkeypatch, flags, text):
    monkeypatch.setattr(precision, "cpu_flags", lambda: {"avx2", *flags})
    monkeypatch.setattr(precision.tf.config, "list_physical_devices", lambda kind: [])
    entries = findings()
    assert entries["precision"].text == text
    assert "avx2 yes, avx512f no" in entries["processor"].text
    assert entries["devices"].text.startswith("no GPU; training runs on ")


def test_gpus_are_named(findings, monkeypatch):
    monkeypatch.setattr(devices, "gpu_names", lambda: ["NVIDIA H200"])
    assert findings()["devices"].text.startswith("1 GPUs: NVIDIA H200; ")


def test_little_memory_and_full_disks_are_missing_and_read_only_ones_wrong(findings, monkeypatch):
    monkeypatch.setattr(machine, "memory", lambda: (1e9, 8e9))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2e9))
    entries = findings()
    assert (entries["memory"].state, entries["memory"].text) == ("missing", "1.0 GB free of 8.0 GB")
    assert entries["cache folder"].state == "missing"
    assert "set KD_KERAS_CACHE to a folder on another disk" in entries["cache folder"].remedy
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    assert findings()["run folder"].state == "wrong"


def test_memory_of_this_machine_is_known_on_linux():
    free, total = machine.memory()
    assert free is None or 0 < free <= total
