"""Callbacks that log a training run to Weights & Biases and MLflow, each with its own extra."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras


class WandbLogs(keras.callbacks.Callback):
    """Logs each epoch to a run of Weights & Biases.

    Args:
        project: name of the project.
        folder: the run folder; its name groups the models of a run, and Weights & Biases keeps its
            files in it. A training that goes on after an interruption continues its run.
        phase: name of the model's phase.
        config: settings to show beside the curves.

    Raises:
        ValueError: wandb is not installed.
    """

    def __init__(self, project: str, folder: Path, phase: str, config: Mapping[str, Any]) -> None:
        super().__init__()
        self._wandb = _module("wandb")
        name = f"{folder.name}/{phase}"
        self._settings = {
            "project": project,
            "group": folder.name,
            "name": name,
            "id": hashlib.sha256(f"{folder.resolve()}/{phase}".encode()).hexdigest()[:16],
            "resume": "allow",
            "config": dict(config),
            "dir": str(folder),
            "reinit": "create_new",  # students side by side have a run each
        }
        self._run: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self._run = self._wandb.init(**self._settings)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._run.log(_numbers(logs), step=epoch)

    def on_train_end(self, logs: Any = None) -> None:
        self._run.finish()


class MlflowLogs(keras.callbacks.Callback):
    """Logs each epoch to a run of an MLflow experiment, where MLFLOW_TRACKING_URI says.

    Args:
        experiment: name of the experiment, which is made if there is none.
        folder: the run folder; its name is part of the run's.
        phase: name of the model's phase.
        config: settings to show beside the curves.

    Raises:
        ValueError: mlflow is not installed.
    """

    def __init__(
        self, experiment: str, folder: Path, phase: str, config: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self._client = _module("mlflow").MlflowClient()
        self._experiment, self._name = experiment, f"{folder.name}/{phase}"
        self._config = dict(config)
        self._run = ""

    def on_train_begin(self, logs: Any = None) -> None:
        experiment = self._client.get_experiment_by_name(self._experiment)
        number = (
            experiment.experiment_id
            if experiment
            else self._client.create_experiment(self._experiment)
        )
        self._run = self._client.create_run(number, run_name=self._name).info.run_id
        for name, value in self._config.items():
            self._client.log_param(self._run, name, str(value)[:500])

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        for name, value in _numbers(logs).items():
            self._client.log_metric(self._run, name, value, step=epoch)

    def on_train_end(self, logs: Any = None) -> None:
        self._client.set_terminated(self._run)


def _numbers(logs: Mapping[str, Any] | None) -> dict[str, float]:
    return {name: float(value) for name, value in (logs or {}).items()}


def _module(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError as error:
        raise ValueError(
            f"logging to {name} needs the package {name}, which is not installed ({error}). Run "
            f"pip install 'kd-keras[{name}]', or leave --{name} out."
        ) from error
