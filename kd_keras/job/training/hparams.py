"""TensorBoard's HParams page: a row for each trained model, important columns first.

The page sorts columns by whether they are marked to differ, then by name, and shows the first five.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from kd_keras.job.plan import PlannedModel
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.results.loggers import tensorboard_logs

# What differs between the models of a run.
FIRST = ("model", "methods", "epochs", "learning_rate", "seed")


def values(recipe: Recipe, model: PlannedModel) -> dict[str, Any]:
    """The hyperparameters of a model, by name.

    First those that differ between the models of a run (`FIRST`), then fields of the recipe that
    differ from their defaults, then the others.
    """
    epochs, rate = {
        "teacher": (recipe.teacher_epochs, recipe.teacher_learning_rate),
        "baseline": (recipe.epochs, recipe.baseline_learning_rate),
    }.get(model.role, (recipe.epochs, None))
    model_values = {
        "model": model.spec,
        "methods": " + ".join(model.methods) or "none",
        "epochs": epochs,
        "learning_rate": rate or recipe.learning_rate,
        "seed": model.seed,
    }
    defaults = Recipe().model_dump()
    # The run's lists of students and methods: `model` and `methods` say which of them.
    run_values = recipe.model_dump(exclude={*model_values, "student", "method"})
    changed_values = {name: value for name, value in run_values.items() if value != defaults[name]}
    return model_values | changed_values | run_values


def write(
    folder: str | Path, hyperparameters: Mapping[str, Any], metrics: Mapping[str, float]
) -> None:
    """Writes a model's hyperparameters and metrics for TensorBoard's HParams page.

    Args:
        folder: folder of the model's event files.
        hyperparameters: JSON values by name; nested ones appear as `outer.inner`, lists as JSON.
        metrics: values by name, to compare models; also curves of the group "final".
    """
    from tensorboard.plugins.hparams import api

    flat_values = dict(_flatten(hyperparameters))
    with tensorboard_logs.writing_events(folder):
        tf.summary.experimental.write_raw_pb(_columns(flat_values, metrics), step=0)
        # A trial is a folder: by default equal values of several models would become one line.
        api.hparams(flat_values, trial_id=str(folder))
        for name, value in metrics.items():
            tf.summary.scalar(_tag(name), value, step=0)


def _columns(names: Iterable[str], metrics: Iterable[str]) -> bytes:
    """The summary that lists the page's columns; without it every curve counts as a metric."""
    from tensorboard.plugins.hparams import api, plugin_data_pb2

    summary = api.hparams_config_pb(
        hparams=[api.HParam(name) for name in names],
        metrics=[api.Metric(_tag(name), display_name=name) for name in metrics],
    )
    content = summary.value[0].metadata.plugin_data
    columns = plugin_data_pb2.HParamsPluginData.FromString(content.content)
    for column in columns.experiment.hparam_infos:
        column.differs = column.name in FIRST
    content.content = columns.SerializeToString()
    return bytes(summary.SerializeToString())


def _tag(metric: str) -> str:
    return f"final/{metric}"


def _flatten(nested_values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in nested_values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, (bool, int, float, str)):
            yield prefix + name, value
        else:
            yield prefix + name, json.dumps(value, default=str)
