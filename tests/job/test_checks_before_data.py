"""What `kdk evaluate` and `kdk export` refuse before they load data, which may be downloaded."""

import pytest

import kd_keras
from kd_keras import data
from kd_keras.data import datasets


@pytest.fixture
def model(net, tmp_path, monkeypatch):
    """A model's file; loading data fails the test."""

    def load(*arguments, **options):
        pytest.fail("the data are loaded first")

    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(datasets, "load", load)
    (tmp_path / "file").touch()
    net("student", classes=10).save(tmp_path / "student.keras")
    return tmp_path / "student.keras"


def test_a_missing_teacher_and_a_place_that_cannot_be_written(model, tmp_path):
    options = {"dataset": "digits", "out": tmp_path / "file" / "below"}
    with pytest.raises(OSError, match=r"Could not write .*file"):
        kd_keras.evaluate(model, **options)
    with pytest.raises(FileNotFoundError, match=r"there is no model file and no run .*missing"):
        kd_keras.evaluate(model, dataset="digits", teacher=tmp_path / "missing.keras")
    with pytest.raises(OSError, match=r"Could not write .*file"):
        kd_keras.export(model, **options)
