import keras
import numpy as np
import pytest
from keras import layers

from kd_keras.graph import heads


class Opaque(keras.Model):
    def __init__(self, activation, units=5):
        super().__init__()
        self.dense = layers.Dense(units, activation=activation)

    def call(self, inputs):
        return self.dense(keras.ops.mean(inputs, axis=(1, 2)))


def opaque(activation, units=5):
    model = Opaque(activation, units)
    model(np.zeros((1, 8, 8, 3), "float32"))
    return model


def ending_in(net, *parts):
    inner = net("inner")
    x = inner(inner.input)
    for part in parts:
        x = part(x)
    return keras.Model(inner.input, x)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda net: net("m"), "logits"),
        (lambda net: net("m", activation="relu"), "logits"),
        (lambda net: net("m", activation="softmax"), "probabilities"),
        (lambda net: net("m", activation=lambda x: keras.ops.softmax(x)), "probabilities"),
        (lambda net: ending_in(net), "logits"),  # a nested model gives the output
        (lambda net: ending_in(net, layers.Softmax()), "probabilities"),
        (lambda net: ending_in(net, keras.ops.softmax), "probabilities"),
        (
            lambda net: ending_in(net, layers.Softmax(), layers.Activation("linear")),
            "probabilities",
        ),
        (lambda net: ending_in(net, layers.Activation("linear")), "logits"),
        (lambda net: ending_in(net, keras.ops.log_softmax), "logits"),
        (lambda net: opaque(None), "logits"),
        (lambda net: opaque("softmax"), "probabilities"),
        (lambda net: keras.Sequential([keras.Input((8, 8, 3)), net("m")]), "logits"),
    ],
)
def test_kind_of_head(net, make, kind):
    assert heads.output_type(make(net)) == kind


@pytest.mark.parametrize(
    "make",
    [
        lambda net: net("m", activation="sigmoid"),
        lambda net: ending_in(net, layers.Activation("sigmoid")),
        lambda net: ending_in(net, keras.ops.sigmoid),
    ],
)
def test_sigmoid_heads_are_refused(net, make):
    with pytest.raises(ValueError, match="ends in a sigmoid; expected logits"):
        heads.output_type(make(net))


def test_one_sigmoid_output_is_a_kind_and_any_other_single_output_is_refused(net):
    assert heads.output_type(net("m", classes=1, activation="sigmoid")) == "sigmoid"
    assert heads.output_type(ending_in_one(net, keras.ops.sigmoid)) == "sigmoid"
    assert heads.output_type(opaque("sigmoid", units=1)) == "sigmoid"
    with pytest.raises(ValueError, match=r"'m' gives one output without a sigmoid; .* add the sig"):
        heads.output_type(net("m", classes=1))


def ending_in_one(net, part):
    inner = net("inner", classes=1)
    return keras.Model(inner.input, part(inner.output))


def test_one_sigmoid_becomes_the_logits_of_its_two_classes():
    z = np.array([[-40.0], [-3.0], [0.0], [2.0], [12.0]], "float32")
    p = 1 / (1 + np.exp(-z.astype("float64")))
    result = np.asarray(heads.logits_of_teacher(p.astype("float32"), "sigmoid"))
    np.testing.assert_array_equal(result[:, 0], np.zeros(5))
    np.testing.assert_allclose(result[:, 1:], z, rtol=2e-3, atol=1e-6)
    ends = np.asarray(heads.logits_of_teacher(np.array([[0.0], [1.0]], "float32"), "sigmoid"))
    np.testing.assert_allclose(ends[:, 1], [-87.34, 16.64], atol=0.01)


def test_a_student_of_one_output_is_refused_with_the_remedy(net):
    for activation in (None, "sigmoid"):
        with pytest.raises(ValueError, match=r"'m' gives one output; .* two outputs .*Dense\(2\)"):
            heads.check_student(net("m", classes=1, activation=activation))


def test_outputs_that_are_no_classes_are_refused(net):
    model = net("m")
    maps = keras.Model(model.input, model.get_layer("stage1").output)
    with pytest.raises(ValueError, match=r"\(None, 8, 8, 4\); expected \(batch, classes\)"):
        heads.output_type(maps)


def test_a_softmax_student_is_refused_with_the_remedy(net):
    with pytest.raises(ValueError, match=r"'m' ends in a softmax.*Remove the last activation"):
        heads.check_student(net("m", activation="softmax"))
    heads.check_student(net("m"))


def test_class_counts_must_be_equal():
    with pytest.raises(ValueError, match="the student has 5 classes and the teacher 6"):
        heads.check_same_classes({"logits": (None, 5)}, {"logits": (None, 6)})


def test_probabilities_become_log_probabilities_finite_at_zero():
    outputs = np.array([[0.25, 0.75, 0.0]], "float32")
    result = np.asarray(heads.logits_of_teacher(outputs, "probabilities"))
    np.testing.assert_allclose(result[0, :2], np.log([0.25, 0.75]), rtol=1e-6)
    assert np.isfinite(result).all()
    assert result[0, 2] < -80
    np.testing.assert_array_equal(heads.logits_of_teacher(outputs, "logits"), outputs)
