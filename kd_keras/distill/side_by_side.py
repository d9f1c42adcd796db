"""Trains several students on the same batches, with one teacher pass per batch."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kd_keras import replicas
from kd_keras.distill.distiller import Distiller
from kd_keras.distill.keras_model import call_arguments
from kd_keras.distill.keras_model.replica_model import ReplicaModel
from kd_keras.distill.step import image_views, run_progress, split_batch
from kd_keras.distill.step.teacher import Teacher
from kd_keras.graph.untracked import Untracked
from kd_keras.methods.parts import requirements
from kd_keras.tensor_types import Logs, Tensor

HOOKS = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_")]


class SideBySideModel(ReplicaModel):
    """Trains Distillers side by side by `fit`; each has its own optimizer, as if trained alone.

    Logs are "<name>/<metric>" ("val_<name>/<metric>" of validation); `PerStudentCallbacks` hands
    every Distiller's callbacks its own. Batches are those of `kd_keras.data.pipeline`.

    Args:
        distillers: by name, compiled; of one teacher and precision.

    Raises:
        ValueError: they need batches of different numbers of views, or have different teachers.
    """

    def __init__(self, distillers: Mapping[str, Distiller]):
        super().__init__(name="together")
        check(distillers)
        self._untracked = Untracked(distillers=dict(distillers), teacher=None)
        self._views = next(iter(distillers.values())).views_per_image
        self._untracked.teacher = _one_teacher(list(distillers.values()))
        self.built = True
        # Keras asks for an optimizer; this one has nothing to train.
        super().compile(
            optimizer="sgd", jit_compile=all(d.jit_compile for d in distillers.values())
        )

    def make_train_function(self, force: bool = False) -> None:
        with self.distribute_strategy.scope():
            for distiller in self.trained_models():
                distiller.prepare_step()
        super().make_train_function(force)

    def make_test_function(self, force: bool = False) -> None:
        for distiller in self.trained_models():
            distiller.make_test_function(force)
        super().make_test_function(force)

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`; several replicas need an example each in every batch."""
        distillers = self.trained_models()
        arguments = {"shuffle": False} | call_arguments.by_name(keras.Model.fit, args, kwargs)
        callbacks = run_progress.with_progress(arguments.pop("callbacks", None), distillers)
        with split_batch.translate_errors():
            history = super().fit(**arguments, callbacks=callbacks)
        for distiller in distillers:
            distiller.optimizer.finalize_variable_values(distiller.trainable_variables)
        return history

    @replicas.after_data
    def train_step(self, data: Any) -> Logs:
        """A step of every Distiller on one batch (x, y), after one pass of the teacher."""
        batch = self._with_teacher_outputs(data, views=self._views)
        return self._with_prefixes(
            {n: d.train_step(batch) for n, d in self._untracked.distillers.items()}
        )

    @replicas.after_data
    def test_step(self, data: Any) -> Logs:
        """The validation step of every Distiller on one batch."""
        if any(distiller.validate_teacher for distiller in self.trained_models()):
            data = self._with_teacher_outputs(data, views=1)
        return self._with_prefixes(
            {n: d.test_step(data) for n, d in self._untracked.distillers.items()}
        )

    def trained_models(self) -> Sequence[Distiller]:
        return list(self._untracked.distillers.values())

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [metric for d in self.trained_models() for metric in d.metrics]

    def get_metrics_result(self) -> Logs:
        distillers = self._untracked.distillers.items()
        return self._with_prefixes({name: d.get_metrics_result() for name, d in distillers})

    def _get_metrics_result_or_logs(self, logs: Logs) -> Logs:
        """The logs of an epoch or evaluation; each Distiller leaves out those of unknown labels."""
        logs = super()._get_metrics_result_or_logs(logs)
        distillers = self._untracked.distillers.items()
        return self._with_prefixes(
            {name: d.leave_out_unknown(own_logs(name, logs)) for name, d in distillers}
        )

    def _while_evaluating(self, evaluate: Any, *args: Any, **kwargs: Any) -> Any:
        for distiller in self.trained_models():
            distiller.evaluating = True
        try:
            return super()._while_evaluating(evaluate, *args, **kwargs)
        finally:
            for distiller in self.trained_models():
                distiller.evaluating = False

    def _with_teacher_outputs(self, data: Any, *, views: int) -> Any:
        """The batch with the teacher's outputs, unless it has them or no Distiller reads them."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        if self._untracked.teacher is None or "teacher" in x:
            return data
        outputs = self._untracked.teacher(image_views.flatten(x["inputs"], views))
        return keras.utils.pack_x_y_sample_weight({**x, "teacher": outputs}, y, weight)

    @staticmethod
    def _with_prefixes(logs: dict[str, dict[str, Tensor]]) -> Logs:
        items = [(name, part.items()) for name, part in logs.items()]
        return {f"{name}/{key}": value for name, pairs in items for key, value in pairs}


def check(distillers: Mapping[str, Distiller]) -> None:
    """Raises ValueError where Distillers cannot be trained side by side, see `SideBySideModel`."""
    views = {name: distiller.views_per_image for name, distiller in distillers.items()}
    if len(set(views.values())) > 1:
        raise ValueError(
            f"the students need different numbers of views of an image ({views}); expected one. "
            "Train them in runs of their own."
        )
    precisions = {name: distiller.precision for name, distiller in distillers.items()}
    if len(set(precisions.values())) > 1:
        raise ValueError(
            f"the students have different precisions ({precisions}); expected one, which the "
            "teacher that they share runs in too. Give each Distiller the same precision."
        )
    if len({distiller.label_mode for distiller in distillers.values()}) > 1:
        raise ValueError(
            "some students have label_mode='multi' and some 'single'; expected one form for all, "
            "since they see the same batches. Train them in runs of their own."
        )


class PerStudentCallbacks(keras.callbacks.Callback):
    """Calls each Distiller's callbacks with its own logs during the `fit` of a `SideBySideModel`.

    Args:
        models: each Distiller with its callbacks, by its name.
    """

    def __init__(self, models: Mapping[str, tuple[Distiller, list[keras.callbacks.Callback]]]):
        super().__init__()
        self._lists = {
            name: keras.callbacks.CallbackList(callbacks, model=distiller)
            for name, (distiller, callbacks) in models.items()
        }
        for hook in HOOKS:
            setattr(self, hook, functools.partial(self._tell, hook))

    def set_model(self, model: keras.Model) -> None:
        """Does nothing: each callback has a model already."""

    def set_params(self, params: dict[str, Any]) -> None:
        for callbacks in self._lists.values():
            callbacks.set_params(params)

    def _tell(self, hook: str, *arguments: Any, **keywords: Any) -> None:
        # Keras passes the logs last, by position or by name, after the number of the step or epoch.
        *number, logs = *arguments, *keywords.values()
        for name, callbacks in self._lists.items():
            getattr(callbacks, hook)(*number, own_logs(name, logs or {}))


def own_logs(name: str, logs: Mapping[str, Any]) -> dict[str, Any]:
    """One Distiller's part of a `SideBySideModel`'s logs, under the names that it logs alone.

    Args:
        name: name of the Distiller.
        logs: logs by name, such as "student-1/loss" or "val_student-1/loss".
    """
    result: dict[str, Any] = {}
    for prefix in ("", "val_"):
        start = f"{prefix}{name}/"
        result |= {
            prefix + k.removeprefix(start): v for k, v in logs.items() if k.startswith(start)
        }
    return result


def _one_teacher(distillers: list[Distiller]) -> Teacher | None:
    """The Distillers' teacher with all outputs that any of them reads; None if it does not run."""
    learners = [d for d in distillers if not all(m.teacher_free for m in d.methods)]
    model = learners[0].teacher if learners else None
    if any(d.teacher is not model for d in learners):
        raise ValueError(
            "the students have different teachers; expected one for all of them. Make each "
            "Distiller with the same teacher object, or train them one after the other."
        )
    if model is None or not isinstance(model, keras.Model):
        return None  # of a cache, rows come with the batches
    its_methods = [method for d in learners for method in d.methods]
    return Teacher(
        model,
        requirements.taps_of("teacher", its_methods),
        precision=learners[0].precision,
        classifies=bool(requirements.logit_users(its_methods)),
        multi_label=learners[0].multi_label,
    )
