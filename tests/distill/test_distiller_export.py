import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods


class WithDict(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, inputs, training=None):
        return {"logits": self.inner(inputs, training=training)}


def fitted(student, teacher, images, labels, method="kd", **knobs):
    distiller = Distiller(student, teacher=teacher, methods=methods.get(method, **knobs))
    distiller.compile()
    distiller.fit(images, labels, verbose=0)
    return distiller, distiller.predict(images, verbose=0)


def in_a_session(folder, images):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        signature = loaded.signature_def["serving_default"]
        (fed,), (fetched,) = signature.inputs.values(), signature.outputs.values()
        return session.run(fetched.name, {fed.name: images})


@pytest.mark.parametrize(
    "kind", ["functional", "dict", pytest.param("simkd", marks=pytest.mark.extended)]
)
def test_the_deployed_student_is_exported(kind, student, teacher, images, labels, tmp_path, capsys):
    model = student
    if kind == "dict":
        model = WithDict(student)
        model(images[:1])
    method = {"method": "simkd", "tap": "stage2"} if kind == "simkd" else {}
    distiller, expected = fitted(model, teacher, images, labels, **method)
    distiller.export(tmp_path / "model")
    assert "never called" not in capsys.readouterr().out
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    (served,) = keras.tree.flatten(loaded.serve(tf.constant(images)))
    np.testing.assert_allclose(served, expected, atol=1e-5)
    np.testing.assert_allclose(in_a_session(tmp_path / "model", images), expected, atol=1e-5)
    variables = {
        name for name, _ in tf.train.list_variables(f"{tmp_path}/model/variables/variables")
    }
    assert not any("optimizer" in name or "teacher" in name for name in variables)


def test_export_takes_its_arguments_by_position_as_keras_does(student, monkeypatch):
    calls = []
    monkeypatch.setattr(student, "export", lambda *args, **kwargs: calls.append((args, kwargs)))
    Distiller(student).export("folder", "tf_saved_model", False, input_signature=None)
    assert calls == [(("folder", "tf_saved_model", False), {"input_signature": None})]


def test_other_formats_of_keras_are_passed_on(student, teacher, images, labels, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    pytest.importorskip("tf2onnx", reason="the extra 'onnx' is not installed")
    distiller, expected = fitted(student, teacher, images, labels)
    distiller.export(tmp_path / "student.onnx", format="onnx", verbose=False)
    run = runtime.InferenceSession(tmp_path / "student.onnx")
    (served,) = run.run(None, {run.get_inputs()[0].name: images})
    np.testing.assert_allclose(served, expected, atol=1e-5)
