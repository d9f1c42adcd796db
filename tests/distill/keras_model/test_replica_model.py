import types

import keras
import pytest

from kd_keras import Distiller, methods


@pytest.fixture
def distiller(student, teacher):
    return Distiller(student, teacher=teacher, methods=methods.get("kd"))


def over_replicas(monkeypatch, count):
    """Lets every Distiller take itself for one of `count` replicas."""
    strategy = types.SimpleNamespace(num_replicas_in_sync=count)
    monkeypatch.setattr(Distiller, "distribute_strategy", strategy)


def test_xla_for_several_replicas_is_refused(distiller, monkeypatch):
    over_replicas(monkeypatch, 2)
    with pytest.raises(ValueError, match=r"jit_compile is True and 2 replicas .* Leave jit_"):
        distiller.compile(jit_compile=True)
    for allowed in ("auto", False):
        distiller.compile(jit_compile=allowed)
        assert not distiller.jit_compile


def test_what_one_device_compiled_is_loaded_for_several(distiller, tmp_path, monkeypatch):
    distiller.compile(keras.optimizers.SGD(0.1), jit_compile=True)
    assert distiller.jit_compile
    distiller.save(tmp_path / "d.keras")
    assert keras.saving.load_model(tmp_path / "d.keras").jit_compile
    over_replicas(monkeypatch, 2)
    assert not keras.saving.load_model(tmp_path / "d.keras").jit_compile
