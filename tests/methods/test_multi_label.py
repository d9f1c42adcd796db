"""Which methods take examples of several classes, and that these train on them."""

import keras
import numpy as np
import pytest

from kd_keras import Distiller, methods
from kd_keras.methods.base import Batch

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a Distiller trains on TensorFlow"
)


@pytest.mark.parametrize("name", methods.names())
def test_a_method_trains_on_several_classes_or_is_refused(pair, name):
    method = pair.method(name)
    models = {"teacher": None if method.teacher_free else pair.teacher()}
    if not method.supports_multi_label:
        with pytest.raises(ValueError, match=rf"methods \['{name}'\] .* expected .* kd,"):
            Distiller(pair.student(), methods=method, label_mode="multi", **models)
        return
    distiller = Distiller(
        pair.student(), methods=method, label_mode="multi", ce_weight=0.5, **models
    )
    distiller.compile(keras.optimizers.Adam(0.01), run_eagerly=True)  # faster for one step
    x = {"inputs": np.random.default_rng(0).uniform(0, 255, (8, 8, 8, 3)).astype("float32")}
    x["id"] = np.arange(8)
    y = (np.arange(8 * pair.CLASSES).reshape(8, -1) % 3 == 0).astype("int32")
    distiller.total_steps = 2
    logs = distiller.train_on_batch(x, y, return_dict=True)
    assert np.isfinite([logs["loss"], logs["ce"], logs[name]]).all()
    assert "agreement" not in logs


@pytest.mark.parametrize("name", methods.names())
def test_only_kd_takes_several_classes_and_reads_what_one_class_would_decide(name, pair):
    method = pair.method(name)
    if method.supports_multi_label and name != "kd":
        assert (method.needs_labels, method.needs_one_class) == (False, False)
        assert method.family != "logits"


def test_kd_compares_sigmoids_and_its_gradient_is_theirs(loss_and_gradients):
    student = np.array([[1.0, -2.0, 0.5]], "float32")
    teacher = np.array([[-1.0, 0.3, 2.0]], "float32")
    method = methods.get("kd", temperature=2.0)
    batch = Batch(np.array([[1, 0, 0]]), multi_label=True)
    outputs = {"student": {"logits": student}, "teacher": {"logits": teacher}}
    loss, gradients = loss_and_gradients(method, batch=batch, **outputs)
    p, q = 1 / (1 + np.exp(-teacher / 2)), 1 / (1 + np.exp(-student / 2))
    terms = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    np.testing.assert_allclose(loss, 4 * terms.mean(axis=1), rtol=1e-4)
    # Of T^2 / C * sum of KL: T / C * (q - p).
    gradient = gradients["student", "logits"]
    np.testing.assert_allclose(gradient, 2 / 3 * (q - p), rtol=1e-4)
    step = 1e-2
    for place in range(3):
        moved = [student + sign * step * np.eye(3, dtype="float32")[place] for sign in (1, -1)]
        values = [
            method(student={"logits": m}, teacher=outputs["teacher"], batch=batch)[0] for m in moved
        ]
        finite = (float(values[0]) - float(values[1])) / (2 * step)
        assert gradient[0, place] == pytest.approx(finite, abs=1e-3)
