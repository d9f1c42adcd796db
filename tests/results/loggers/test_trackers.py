"""The callbacks against the real libraries, which keep their files here; nothing is sent."""

import sys

import pytest

from kd_keras.results.loggers import trackers

LOGS = [{"loss": 2.0, "val_top1": 0.25}, {"loss": 1.0, "val_top1": 0.5}]


def train(callback):
    callback.on_train_begin()
    for epoch, logs in enumerate(LOGS):
        callback.on_epoch_end(epoch, logs)
    callback.on_train_end()


def test_mlflow_gets_every_epoch(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    train(trackers.MlflowLogs("pets", tmp_path / "run", "student", {"epochs": 2}))
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("pets")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "run/student"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"epochs": "2"}
    history = client.get_metric_history(run.info.run_id, "val_top1")
    assert [(point.step, point.value) for point in history] == [(0, 0.25), (1, 0.5)]


def test_wandb_gets_every_epoch(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="the extra 'wandb' is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    train(trackers.WandbLogs("pets", tmp_path, "student", {"epochs": 2}))
    (file,) = tmp_path.rglob("*.wandb")
    content = file.read_bytes()
    assert all(name in content for name in (b"val_top1", b"pets", b"student"))


@pytest.mark.parametrize(("name", "cls"), [("wandb", "WandbLogs"), ("mlflow", "MlflowLogs")])
def test_without_the_library_it_says_what_to_install(tmp_path, monkeypatch, name, cls):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=rf"pip install 'kd-keras\[{name}\]', or leave --{name}"):
        getattr(trackers, cls)("pets", tmp_path, "student", {})
