"""What a Distiller takes as student and teacher, and how it tells what to make of anything else."""

from pathlib import Path

import keras
import numpy as np
import pytest

from kd_keras import Distiller, methods
from kd_keras.models import adapt

TorchModule = type("Linear", (), {"__module__": "torch.nn.modules", "__call__": lambda s, x: x})


def kd():
    return methods.get("kd")


def test_keras_s_own_order_is_refused_with_the_new_spelling(student, teacher):
    with pytest.raises(TypeError, match=r"got a Functional 'student' by position .* Distiller\(st"):
        Distiller(teacher, student)
    with pytest.raises(TypeError, match=r"Write Distiller\(student, teacher=teacher, methods=met"):
        Distiller(student, teacher, kd())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("model.keras", r"'model\.keras'; expected a keras\.Model\. Open .*open_model\('model\.k"),
        (Path("folder"), r"expected a keras\.Model\. Open .*open_model\('folder'\)"),
        (lambda images: images, "a function '<lambda>'; .* Write a keras.Model whose call"),
        (keras.layers.Dense(5, name="d"), r"a Dense 'd'; .* keras\.Model\(images, layer\(images"),
        (TorchModule(), r"a Linear; .* torch\.onnx\.export, run `kdk cache --teacher FILE"),
        ([], r"a list; .*ensemble\.mean_of_logits"),
        (keras.Model, r"the class Model; .* Make an instance of it: Model\("),
        (False, r"False; .* Make one with keras\.Model"),
    ],
)
def test_what_is_no_model_is_answered_with_how_to_make_one(student, teacher, value, message):
    with pytest.raises(ValueError, match=f"the teacher is .*{message}"):
        Distiller(student, teacher=value, methods=kd())
    with pytest.raises(ValueError, match=f"the student is .*{message}"):
        Distiller(value, teacher=teacher, methods=kd())


def test_a_saved_model_s_layer_names_its_folder(student, teacher, tmp_path):
    teacher.export(tmp_path, verbose=False)
    layer = keras.layers.TFSMLayer(tmp_path, call_endpoint="serving_default")
    with pytest.raises(ValueError, match=rf"a TFSMLayer .*open_model\('{tmp_path}'\)"):
        Distiller(student, teacher=layer, methods=kd())


def test_no_student_is_refused():
    with pytest.raises(ValueError, match="the student is None; expected a keras"):
        Distiller(None)


def pooled(size, name, width=5):
    images = keras.Input((size, size, 3))
    x = keras.layers.Conv2D(width, 3)(images)
    outputs = keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(images, outputs, name=name)


class Pools(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(5)

    def call(self, images):
        return self.dense(keras.ops.mean(images, axis=(1, 2)))


def test_a_teacher_of_another_image_size_is_refused_with_adapt_teacher():
    student, teacher = pooled(8, "small"), pooled(12, "large")
    with pytest.raises(
        ValueError,
        match=r"'small' takes images of \(8, 8, 3\) and the teacher 'large' of \(12, 12, 3\); .*"
        r"adapt_teacher\(teacher, input_shape=\(8, 8, 3\), image_size=12\)",
    ):
        Distiller(student, teacher=teacher, methods=kd())
    adapted = adapt.adapt_teacher(teacher, input_shape=(8, 8, 3), image_size=12)
    assert Distiller(student, teacher=adapted, methods=kd()).teacher is adapted


def test_models_of_open_or_any_size_are_taken():
    student, opaque = Pools(), Pools()
    student(np.zeros((1, 8, 8, 3)))
    opaque(np.zeros((1, 12, 12, 3)))
    for teacher in (pooled(None, "open"), pooled(12, "fixed"), opaque):
        assert Distiller(student, teacher=teacher, methods=kd()).teacher is teacher


def test_one_sigmoid_output_teaches_as_two_logits(net, images, labels, one_step):
    student = net("student", classes=2, norm=False)
    teacher = net("teacher", classes=1, width=6, activation="sigmoid", seed=1)
    as_logits = adapt.two_logits(teacher)
    assert as_logits.get_layer("stage2") is teacher.get_layer("stage2")
    p = np.asarray(teacher(images))
    np.testing.assert_allclose(
        keras.ops.softmax(as_logits(images)), np.concatenate([1 - p, p], axis=1), atol=1e-6
    )
    losses = []
    for model in (teacher, as_logits):
        learner = keras.models.clone_model(student)
        learner.set_weights(student.get_weights())
        distiller = Distiller(learner, teacher=model, methods=kd())
        losses.append(one_step(distiller, images, labels % 2)["kd"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    with pytest.raises(ValueError, match="the student has 5 classes and the teacher 2"):
        Distiller(net("student", norm=False), teacher=teacher, methods=kd())


@pytest.mark.parametrize("as_dict", [True, False])
def test_inputs_called_as_the_pipelines_are_refused(student, as_dict):
    inputs = {"inputs": keras.Input((8, 8, 3), name="inputs"), "id": keras.Input((1,), name="id")}
    features = keras.layers.GlobalAveragePooling2D()(inputs["inputs"])
    logits = keras.layers.Dense(5)(keras.layers.Concatenate()([features, inputs["id"]]))
    model = keras.Model(inputs if as_dict else list(inputs.values()), logits, name="two")
    with pytest.raises(ValueError, match=r"the student 'two' has inputs called \['id', 'inputs'\]"):
        Distiller(model)
    with pytest.raises(ValueError, match=r"the teacher 'two' has .* Rename one of the inputs"):
        Distiller(student, teacher=model, methods=kd())


def test_a_subclassed_model_of_such_a_dict_is_refused():
    class OfDict(keras.Model):
        def __init__(self):
            super().__init__(name="of_dict")
            self.dense = keras.layers.Dense(5)

        def call(self, inputs):
            return self.dense(keras.ops.concatenate([inputs["inputs"], inputs["id"]], axis=-1))

    model = OfDict()
    model({"inputs": np.zeros((2, 3), "float32"), "id": np.zeros((2, 1), "float32")})
    with pytest.raises(ValueError, match=r"'of_dict' has inputs called .*; expected other"):
        Distiller(model)
