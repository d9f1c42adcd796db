import keras
import numpy as np
import pytest
from keras import layers

from kd_keras import Distiller, losses, methods
from kd_keras.graph import taps


@pytest.fixture
def nested(net):
    """A classifier around a nested backbone that is called twice."""
    backbone = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="conv1"),
            layers.Conv2D(6, 3, activation="relu", name="conv2"),
        ],
        name="backbone",
    )
    inputs = keras.Input((8, 8, 3))
    first, second = backbone(inputs), backbone(inputs[:, ::-1])
    pooled = layers.GlobalAveragePooling2D(name="pooled")(first + second)
    return keras.Model(inputs, layers.Dense(5, name="logits")(pooled), name="nested")


class Opaque(keras.Model):
    """A model whose graph Keras does not know."""

    def __init__(self, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(4, 3, name="conv")
        self.dense = layers.Dense(5, activation=activation)

    def call(self, inputs, training=False):
        features = self.conv(inputs)
        return {"logits": self.dense(keras.ops.mean(features, axis=(1, 2))), "stage1": features}


def test_gives_logits_and_taps_with_the_models_own_weights(student, images):
    tapped = taps.tapped_model(student, ["stage1", "pooled"])
    outputs = tapped(images)
    np.testing.assert_array_equal(outputs["logits"], student(images))
    assert {n: o.shape[1:] for n, o in outputs.items()} == {
        "logits": (5,),
        "stage1": (8, 8, 4),
        "pooled": (8,),
    }
    assert [id(v) for v in tapped.variables] == [id(v) for v in student.variables]


def test_a_tap_may_lie_in_a_nested_model(nested, images):
    outputs = taps.tapped_model(nested, ["backbone/conv2", "backbone"])(images)
    backbone = nested.get_layer("backbone")
    np.testing.assert_array_equal(outputs["backbone/conv2"], backbone(images))  # the first call's
    np.testing.assert_array_equal(outputs["backbone"], backbone(images))
    np.testing.assert_array_equal(outputs["logits"], nested(images))


def test_every_layer_can_be_replaced_nested_ones_too(nested):
    names = []
    taps.tapped_model(nested, replace=lambda layer: names.append(layer.name) or layer)
    assert {"conv1", "conv2", "pooled", "logits"} <= set(names)


def test_an_unknown_tap_is_answered_with_near_names_and_their_shapes(nested, student):
    with pytest.raises(ValueError, match=r"no tap 'conv2'.*backbone/conv2 \(None, 4, 4, 6\)"):
        taps.tapped_model(nested, ["conv2"])
    with pytest.raises(ValueError, match=r"no tap 'stge1'.*stage1 \(None, 8, 8, 4\)"):
        taps.tapped_model(student, ["stge1"])


def test_a_tap_like_none_is_answered_with_the_last_of_each_size(nested):
    message = (
        r"backbone/conv1 \(None, 6, 6, 4\), add\w* \(None, 4, 4, 6\), pooled \(None, 6\)\. Name one"
    )
    with pytest.raises(ValueError, match=rf"no tap 'xyz'; its last ones of each size, .*{message}"):
        taps.tapped_model(nested, ["xyz"])


def test_several_inputs_keep_their_structure(images):
    inputs = {"a": keras.Input((8, 8, 3), name="a"), "b": keras.Input((8, 8, 3), name="b")}
    logits = layers.Dense(5)(layers.Flatten()(inputs["a"] - inputs["b"]))
    model = keras.Model(inputs, logits)
    inputs_by_name = {"a": images, "b": images[::-1]}
    np.testing.assert_array_equal(
        taps.tapped_model(model)(inputs_by_name)["logits"], model(inputs_by_name)
    )


def test_a_dict_of_outputs_names_the_logits_and_more_taps(student, images):
    outputs = {"logits": student.output, "inner": student.get_layer("stage1").output}
    model = keras.Model(student.input, outputs)
    assert taps.output_shapes(model) == {"logits": (None, 5), "inner": (None, 8, 8, 4)}
    tapped = taps.tapped_model(model, ["inner", "stage2"])(images)
    np.testing.assert_array_equal(tapped["inner"], model(images)["inner"])
    assert tapped["stage2"].shape == (40, 3, 3, 8)


def test_a_model_with_a_call_of_its_own_is_no_graph(student, images):
    class Doubling(keras.Model):
        def call(self, inputs, training=None):
            return 2 * super().call(inputs, training=training)

    model = Doubling(student.input, student.output)
    assert not taps.is_graph(model)
    model(images)
    with pytest.raises(ValueError, match="is a Doubling; its features can be tapped by name only"):
        taps.tapped_model(model, ["stage1"])


def test_output_shapes_of_models_of_every_kind(student, images):
    opaque = Opaque()
    opaque(images)
    assert taps.output_shapes(student) == {"logits": (None, 5)}
    assert taps.output_shapes(keras.Model(student.input, [student.output])) == {"logits": (None, 5)}
    assert taps.output_shapes(opaque) == {"logits": (None, 5), "stage1": (None, 6, 6, 4)}


@pytest.mark.parametrize(
    "make", [Opaque, lambda name: keras.Sequential([layers.Dense(5)], name=name)]
)
def test_an_unbuilt_model_is_refused(make):
    with pytest.raises(ValueError, match="'new' has not been built, so its shapes are unknown"):
        taps.output_shapes(make(name="new"))


def test_unnamed_outputs_are_refused(student):
    two = keras.Model(student.input, [student.output, student.get_layer("pooled").output])
    with pytest.raises(ValueError, match="gives 2 outputs; expected the logits alone"):
        taps.output_shapes(two)
    other = keras.Model(student.input, {"scores": student.output})
    with pytest.raises(ValueError, match=r"gives \['scores'\]; expected the logits alone"):
        taps.output_shapes(other)


def test_the_tail_reaches_back_to_the_last_weights(nested):
    softmax = layers.Softmax(name="softmax")
    model = keras.Sequential([keras.Input((8, 8, 3)), nested, softmax])
    assert [part.name for part in taps.tail(model)] == ["softmax", "logits"]
    assert [part.name for part in taps.tail(nested)] == ["logits"]
    assert taps.tail(Opaque()) == []


def test_nested_models_may_name_their_layers_alike(net, images):
    inputs = keras.Input((8, 8, 3))
    members = [net(name, seed=seed) for seed, name in enumerate(("first", "second"))]
    model = keras.Model(inputs, members[0](inputs) + members[1](inputs))
    outputs = taps.tapped_model(model, ["first/stage1", "second/stage1"])(images)
    np.testing.assert_array_equal(outputs["logits"], model(images))
    for member in members:
        expected = taps.tapped_model(member, ["stage1"])(images)["stage1"]
        np.testing.assert_array_equal(outputs[f"{member.name}/stage1"], expected)
        assert [layer.name for layer in member.layers][1:4] == ["conv", "norm", "stage1"]


def test_the_tail_reaches_the_last_weights_of_every_branch(net):
    inputs = keras.Input((8, 8, 3))
    members = [net(name) for name in ("first", "second")]
    model = keras.Model(inputs, members[0](inputs) + members[1](inputs))
    last = [layer for layer in taps.tail(model) if getattr(layer, "weights", None)]
    assert [id(layer) for layer in last] == [id(member.layers[-1]) for member in members]


def test_the_logits_are_the_only_output_or_the_dicts_entry():
    logits = np.ones((2, 3))
    for outputs in (logits, [logits], (logits,), {"tap": 0, "logits": logits}):
        assert taps.logits_of(outputs) is logits


class Scaled(keras.Model):
    """A Functional model that does more in its call() than its graph says."""

    def __init__(self):
        images = keras.Input((8, 8, 3))
        super().__init__(images, layers.Dense(5)(layers.Flatten()(images)))

    def call(self, inputs, training=None):
        return super().call(inputs / 2, training=training)


class Doubled(keras.Sequential):
    def call(self, inputs, training=None):
        return 2 * super().call(inputs, training=training)


def test_a_call_of_its_own_makes_a_functional_or_sequential_model_opaque(net):
    doubled = Doubled([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(5)])
    for model in (Scaled(), doubled):
        assert not taps.is_graph(model)
        assert taps.tail(model) == []
        assert taps.input_shapes(model) == (None, 8, 8, 3)
        assert taps.output_shapes(model) == {"logits": (None, 5)}
    sequential = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(5)])
    assert taps.is_graph(net("plain"))
    assert taps.is_graph(sequential)
    nested = keras.Sequential([keras.Input((8, 8, 3)), doubled])
    images = np.ones((2, 8, 8, 3), "float32")
    np.testing.assert_allclose(
        taps.tapped_model(nested)(images)["logits"], nested(images), rtol=1e-6
    )


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_a_call_of_its_own_runs_in_a_distiller(net, images, labels, role, one_step):
    scaled = Scaled()
    plain = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(5)])
    student, teacher = (scaled, plain) if role == "student" else (plain, scaled)
    logits = {"student": student(images), "teacher": teacher(images)}
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd", temperature=1.0))
    logs = one_step(distiller, images, labels)
    costs = losses.softened_kl(logits["student"], logits["teacher"], temperature=1.0)
    assert logs["kd"] == pytest.approx(float(keras.ops.mean(costs)), rel=1e-4)
