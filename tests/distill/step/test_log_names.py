import keras
import numpy as np
import pytest

from kd_keras import Distiller, methods
from kd_keras.distill.step import log_names


@pytest.mark.parametrize(
    "names",
    [["kd", "kd"], ["kd_share"], ["val_kd"], *([name] for name in log_names.RESERVED)],
    ids=" ".join,
)
def test_methods_leave_the_names_of_other_logs_free(names):
    with pytest.raises(ValueError, match=r"methods are called \[.*; expected .*Give each a name="):
        log_names.require_method_names(names)


def test_other_names_are_allowed():
    log_names.require_method_names(["kd", "accuracy", "share", "validity"])
    log_names.require_metric_names([["accuracy", np.abs], None], [keras.metrics.Mean("loss")])


@pytest.mark.parametrize(
    "compiled",
    [
        {"metrics": ["accuracy"]},
        {"weighted_metrics": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]},
    ],
    ids=str,
)
def test_a_compiled_metric_cannot_replace_a_method_s_loss(student, teacher, compiled):
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd", name="accuracy"))
    with pytest.raises(ValueError, match=r"metrics are called \['accuracy'\]; .* another name="):
        distiller.compile(**compiled)
    distiller.compile(metrics=["sparse_top_k_categorical_accuracy"])


def test_a_function_is_logged_under_its_own_name(student):
    def loss(labels, logits):
        return keras.ops.zeros(())

    with pytest.raises(ValueError, match=r"metrics are called \['loss'\]"):
        Distiller(student).compile(metrics=[loss])


def test_every_log_is_that_of_one_metric(student, teacher, images, labels):
    """The reserved names are those of the logs."""
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    distiller.compile(metrics=["accuracy"])
    history = distiller.fit(images, labels, validation_data=(images, labels), verbose=0).history
    own = {name for name in history if name in log_names.RESERVED or log_names.is_derived(name)}
    assert set(history) - own == {"kd", "accuracy"}
