"""Models and methods of every kind: what a Distiller takes, asks and refuses."""

import keras
import numpy as np
import pytest

from kd_keras import Distiller, methods
from kd_keras.methods.base import Method


def kd_and_fitnet():
    return [methods.get("kd"), methods.get("fitnet", weight=3.0)]


def weights(model):
    return [v.numpy() for v in model.trainable_variables]


def test_a_model_of_several_inputs_is_given_its_own_dict(net, images, labels, one_step):
    def two_inputs(name):
        inner = net(name, norm=False)
        inputs = {"a": keras.Input((8, 8, 3), name="a"), "b": keras.Input((8, 8, 3), name="b")}
        return keras.Model(inputs, inner(inputs["a"] - inputs["b"]), name=name)

    student, teacher = two_inputs("student"), two_inputs("teacher")
    x = {"a": images, "b": images[::-1]}
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    logs = one_step(distiller, x, labels)
    assert logs["kd"] == pytest.approx(0, abs=1e-6)  # the same weights on the same inputs
    np.testing.assert_array_equal(distiller(x), student(x))


def test_our_pipeline_s_inputs_are_unwrapped(student, teacher, images):
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    expected = student(images)
    np.testing.assert_array_equal(distiller({"inputs": images, "id": np.arange(40)}), expected)
    np.testing.assert_array_equal(distiller(images), expected)


def test_a_softmax_teacher_teaches_by_its_log_probabilities(net, images, labels, one_step):
    logs = []
    for activation in (None, "softmax"):
        taught_by = net("teacher", seed=1, activation=activation)
        distiller = Distiller(
            net("student"), teacher=taught_by, methods=methods.get("kd", temperature=3.0)
        )
        logs.append(one_step(distiller, images, labels))
    assert logs[1] == pytest.approx(logs[0], rel=1e-4)


def test_models_that_cannot_be_distilled_are_refused_at_once(net, student, teacher):
    kd = methods.get("kd")
    softmax = net("s", activation="softmax")
    scaled = keras.Model(softmax.input, softmax.output * 1.0, name="s")
    with pytest.raises(ValueError, match="student 's' ends in a softmax"):
        Distiller(scaled, teacher=teacher, methods=kd)
    with pytest.raises(ValueError, match="'t' ends in a sigmoid"):
        Distiller(student, teacher=net("t", activation="sigmoid"), methods=kd)
    with pytest.raises(ValueError, match="the student has 5 classes and the teacher 6"):
        Distiller(student, teacher=net("t", classes=6), methods=kd)
    with pytest.raises(ValueError, match=r"'student' has no tap 'stage9'; near .*\(None, 3, 3, 8"):
        Distiller(student, teacher=teacher, methods=methods.get("fitnet", tap="stage9"))
    with pytest.raises(ValueError, match="precision is 'half'; expected one of"):
        Distiller(student, teacher=teacher, methods=kd, precision="half")


def test_a_refused_teacher_leaves_the_one_before(net, student, teacher):
    distiller = Distiller(student, teacher=teacher, methods=kd_and_fitnet())
    with pytest.raises(ValueError, match="the teacher 6"):
        distiller.teacher = net("t", classes=6)
    assert distiller.teacher is teacher
    with pytest.raises(ValueError, match="fitnet was built for taps of shapes"):
        distiller.teacher = net("t", width=3)
    assert distiller.teacher is teacher


def test_widths_may_differ_and_projectors_train(student, teacher, images, labels, one_step):
    distiller = Distiller(student, teacher=teacher, methods=methods.get("fitnet"))
    before = weights(distiller.methods[0])
    one_step(distiller, images, labels)
    changed = [np.any(a != b) for a, b in zip(weights(distiller.methods[0]), before, strict=True)]
    assert changed[0]  # the convolution; a batch norm makes its bias idle


@pytest.mark.filterwarnings("ignore:the student .* gives its logits in bfloat16:UserWarning")
@pytest.mark.parametrize("kind", ["sequential", "nested", "subclassed", "mixed policy"])
def test_students_of_every_kind_train(net, teacher, images, labels, kind, one_step):
    inner, tap = net("student", norm=False), "stage2"
    if kind == "sequential":
        student = keras.Sequential([keras.Input((8, 8, 3)), *inner.layers[1:]])
    elif kind == "nested":
        student, tap = keras.Model(inner.input, inner(inner.input)), "student/stage2"
    elif kind == "subclassed":
        student = Subclassed(inner)
        student(images)
    else:
        keras.config.set_dtype_policy("mixed_bfloat16")
        student = net("student", norm=False)
        keras.config.set_dtype_policy("float32")
    fitnet = methods.get("fitnet", student_tap=tap, weight=1.0)
    before = weights(student)
    logs = one_step(
        Distiller(student, teacher=teacher, methods=[methods.get("kd"), fitnet]), images, labels
    )
    assert np.isfinite(logs["loss"])
    assert all(np.any(a != b) for a, b in zip(weights(student), before, strict=True))


class Subclassed(keras.Model):
    """Gives its logits and a tap in a dict."""

    def __init__(self, inner):
        super().__init__()
        self.parts = inner.layers[1:]

    def call(self, inputs):
        outputs = {}
        for part in self.parts:
            inputs = outputs[part.name] = part(inputs)
        return {"logits": inputs, "stage2": outputs["stage2"]}


class Probe(Method):
    """Costs one for each example and keeps what it was given."""

    def __init__(self, *, weight=1.0, ce_weight=1.0, warmup=0.0, name="probe"):
        super().__init__(weight=weight, ce_weight=ce_weight, warmup=warmup, name=name)
        self.seen = None

    def call(self, student, teacher, batch):
        self.seen = batch
        return keras.ops.mean(student["logits"], axis=-1)


class Ids(Probe):
    teacher_free = needs_ids = True


class Views(Probe):
    views_per_image = 2

    def call(self, student, teacher, batch):
        differences = student["logits"] - teacher["logits_view2"]
        return keras.ops.mean(differences**2, axis=-1)


def test_a_method_that_needs_ids_gets_them(student, images, labels, one_step):
    distiller = Distiller(student, methods=Ids())
    with pytest.raises(ValueError, match=r"\['probe'\] need the id of each example"):
        one_step(distiller, images, labels)
    one_step(distiller, {"inputs": images, "id": np.arange(7, 47)}, labels)
    np.testing.assert_array_equal(distiller.methods[0].seen.ids, np.arange(7, 47))


def test_two_views_of_each_image(net, images, labels, by_hand, one_step):
    student, teacher = net("student", norm=False), net("teacher", seed=1)
    distiller = Distiller(student, teacher=teacher, methods=Views())
    assert distiller.views_per_image == 2
    views = np.stack([images, -images], axis=1)
    first, second = student(images).numpy(), student(-images).numpy()
    expected = np.mean((first - teacher(-images).numpy()) ** 2)
    logs = one_step(distiller, {"inputs": views, "id": np.arange(40)}, labels)
    assert logs["probe"] == pytest.approx(expected, rel=1e-5)
    ce = by_hand.cross_entropy(labels, first) + by_hand.cross_entropy(labels, second)
    assert logs["ce"] == pytest.approx(ce.mean() / 2, rel=1e-5)  # a mean over the views
    agreed = np.mean(first.argmax(1) == teacher(images).numpy().argmax(1))
    assert logs["agreement"] == pytest.approx(agreed)
    distiller.test_on_batch(images, labels)  # validation has one view


def test_a_method_of_the_whole_batch_refuses_sample_weights(
    student, teacher, images, labels, one_step
):
    distiller = Distiller(student, teacher=teacher, methods=methods.get("sp", taps="stage2"))
    with pytest.raises(ValueError, match="have sample or class weights"):
        one_step(distiller, images, labels, np.ones(40, "float32"))


def test_what_a_method_deploys_is_evaluated_and_the_student_saved(student, images, labels, by_hand):
    class Deploys(Probe):
        teacher_free = True

        def deployed(self, model):
            return keras.Model(model.input, 2 * model.output, name="twice")

    distiller = Distiller(student, methods=Deploys())
    assert distiller.deployed.name == "twice"
    twice = 2 * student(images).numpy()
    np.testing.assert_allclose(distiller(images), twice, rtol=1e-6)
    distiller.compile()
    (ce,) = distiller.evaluate(images, labels, verbose=0)[1:]
    assert ce == pytest.approx(by_hand.cross_entropy(labels, twice).mean(), rel=1e-5)
    assert not {"deployed", "teacher"} & set(dir(distiller))  # what Keras would save beside it


def test_a_student_in_float64_trains(teacher, images, labels):
    layers = keras.layers
    student = keras.Sequential(
        [
            keras.Input((8, 8, 3), dtype="float64"),
            layers.Conv2D(4, 3, dtype="float64"),
            layers.BatchNormalization(dtype="float64"),
            layers.GlobalAveragePooling2D(dtype="float64"),
            layers.Dense(teacher.output_shape[-1], dtype="float64"),
        ]
    )
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    distiller.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    before = weights(student)
    distiller.train_on_batch(images[:8].astype("float64"), labels[:8])
    after = weights(student)
    assert all(np.isfinite(value).all() for value in after)
    assert any(np.any(one != other) for one, other in zip(before, after, strict=True))
