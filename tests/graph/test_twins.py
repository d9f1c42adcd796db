import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kd_keras.graph.twins import Twin


def clone(model):
    """A model of the same architecture and weights that shares nothing."""
    same = keras.models.clone_model(model)
    same.set_weights(model.get_weights())
    return same


def after_a_step(call, model, images):
    """Outputs, gradients by input and variables, and all variables, after one training call."""
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = call(x)
        cost = tf.reduce_mean(outputs[:, 0] ** 2)
    gradients = tape.gradient(cost, [x, *model.trainable_variables])
    return [outputs, *gradients, *model.non_trainable_variables]


def assert_trains_as_plain_keras(model, images, *, atol=1e-5, **kwargs):
    plain = clone(model)
    twin = Twin(model, **kwargs)
    expected = after_a_step(lambda x: plain(x, training=True), plain, images)
    result = after_a_step(lambda x: twin(x, training=True)[0]["logits"], model, images)
    assert len(result) == len(expected)
    for one, other in zip(result, expected, strict=True):
        scale = max(1.0, float(np.abs(other).max()))
        np.testing.assert_allclose(np.asarray(one) / scale, np.asarray(other) / scale, atol=atol)


def with_norm(**settings):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.BatchNormalization(**settings)(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    x = layers.BatchNormalization()(x)  # of vectors: not for the fused kernel
    return keras.Model(inputs, layers.Dense(5, name="logits")(x))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"scale": False},
        {"center": False},
        {"scale": False, "center": False, "momentum": 0.5, "epsilon": 1e-5},
        {"axis": 1},
        {"renorm": True},
        {"gamma_regularizer": "l2", "beta_constraint": "non_neg"},
    ],
    ids=str,
)
def test_a_fused_batch_norm_is_keras_s(settings, images):
    assert_trains_as_plain_keras(with_norm(**settings), images)


def test_inference_is_keras_s_and_changes_nothing(net, images):
    model = net("m", dropout=0.5)
    model(images, training=True)  # moves the statistics
    before = [v.numpy() for v in model.variables]
    outputs, _ = Twin(model)(images, training=False)
    np.testing.assert_allclose(outputs["logits"], model(images, training=False), atol=1e-5)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_the_fused_kernel_runs(net, images):
    twin = Twin(net("m"), ["norm"])
    graph = tf.function(lambda x: twin(x, training=True)[0]).get_concrete_function(images).graph
    assert "FusedBatchNormV3" in {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_low_precision_is_close_and_updates_the_float32_model(net, images, precision):
    model = net("m")
    assert_trains_as_plain_keras(model, images, atol=0.05, precision=precision)
    twin = Twin(model, ["stage1"], precision=precision)
    outputs, _ = twin(images, training=True)
    assert {o.dtype for o in outputs.values()} == {tf.float32}
    assert not np.array_equal(outputs["logits"], clone(model)(images, training=True))
    assert {v.dtype for v in model.variables} == {"float32"}
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}


@pytest.mark.parametrize("tail", [(), (layers.Activation("linear"),), "nested"])
def test_logits_are_computed_in_float32(net, tail):
    model = net("m")
    if tail == "nested":
        model = keras.Model(model.input, model(model.input))
    else:
        model = keras.Sequential([keras.Input((8, 8, 3)), model, *tail])
    twin = Twin(model, precision="mixed_bfloat16")
    policies = {layer.name: copy.compute_dtype for layer, copy in twin._copies.values()}
    assert policies["logits"] == "float32"
    assert policies["conv"] == policies["norm"] == "bfloat16"


def test_shared_layers_train_as_plain_keras(images):
    conv, norm = layers.Conv2D(4, 3), layers.BatchNormalization()
    inputs = keras.Input((8, 8, 3))
    merged = layers.Concatenate()([norm(conv(inputs)), norm(conv(2 * inputs))])
    model = keras.Model(inputs, layers.Dense(5)(layers.Flatten()(merged)))
    assert_trains_as_plain_keras(model, images)


def test_nested_and_shared_models_train_as_plain_keras(images):
    block = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()]
    )
    inputs = keras.Input((8, 8, 3))
    merged = layers.Concatenate()([block(inputs), block(2 * inputs)])
    model = keras.Model(inputs, layers.Dense(5)(layers.Flatten()(merged)))
    # Of a nested model's two calls the other comes first, and so counts less in the statistics.
    assert_trains_as_plain_keras(model, images, atol=5e-4)


def test_a_sequential_model_trains_as_plain_keras(images):
    parts = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(5)]
    assert_trains_as_plain_keras(keras.Sequential([keras.Input((8, 8, 3)), *parts]), images)


def test_training_false_of_a_nested_call_is_keras_s(images):
    base = keras.Sequential([keras.Input((8, 8, 3)), layers.BatchNormalization()])
    inputs = keras.Input((8, 8, 3))
    logits = layers.Dense(5)(layers.Flatten()(base(inputs, training=False)))
    assert_trains_as_plain_keras(keras.Model(inputs, logits), images)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_layers_frozen_before_or_after_stay_frozen(net, images, precision):
    model = net("m")
    model.get_layer("norm").trainable = False
    twin = Twin(model, precision=precision)
    moving_mean = model.get_layer("norm").moving_mean
    twin(images, training=True)
    np.testing.assert_array_equal(moving_mean, np.zeros(4))
    model.get_layer("norm").trainable = True
    twin.follow_trainable()
    twin(images, training=True)
    moved = moving_mean.numpy()
    assert np.any(moved)
    model.trainable = False
    twin.follow_trainable()
    twin(images, training=True)
    np.testing.assert_array_equal(moving_mean, moved)


def test_a_part_frozen_within_a_layer_stays_frozen(images):
    @keras.saving.register_keras_serializable(package="test_twins")
    class Block(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.norm = layers.BatchNormalization()

        def call(self, inputs, training=None):
            return self.norm(inputs, training=training)

    block = Block()
    model = keras.Sequential([keras.Input((8, 8, 3)), block, layers.Flatten(), layers.Dense(5)])
    twin = Twin(model, precision="mixed_bfloat16")
    block.norm.trainable = False
    twin.follow_trainable()
    twin(images, training=True)
    np.testing.assert_array_equal(block.norm.moving_mean, np.zeros(3))


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_dropout_draws_anew_and_its_seed_advances_in_the_model(net, images, precision):
    model = net("m", dropout=0.5)
    (state,) = (v for v in model.variables if v.name == "seed_generator_state")
    twin = Twin(model, ["dropout"], precision=precision)
    start = state.numpy()
    masks = [np.array(twin(images, training=True)[0]["dropout"]) == 0 for _ in range(2)]
    assert np.any(masks[0] != masks[1])
    np.testing.assert_array_equal(state.numpy() - start, [0, 2])
    state.assign(start)
    again = np.array(twin(images, training=True)[0]["dropout"]) == 0
    np.testing.assert_array_equal(again, masks[0])


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_gives_the_model_s_own_losses(images, precision):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, kernel_regularizer="l2", activity_regularizer="l1")(inputs)
    model = keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x)))
    model(images, training=True)
    expected = [float(loss) for loss in model.losses]
    for _ in range(2):  # those of a call, not of all calls
        losses = Twin(model, precision=precision)(images, training=True)[1]
        np.testing.assert_allclose([float(v) for v in losses], expected, rtol=1e-2)
    assert {loss.dtype for loss in losses} == {tf.float32}


def test_only_what_the_call_changes_is_written(net, images):
    model = net("m", norm=True)
    model.get_layer("conv").trainable = False
    assignments = []
    for variable in model.variables:
        variable.assign = lambda value, name=variable.path: assignments.append(name)
    Twin(model)(images, training=True)
    assert sorted(assignments) == ["norm/moving_mean", "norm/moving_variance"]


def test_layers_whose_configuration_is_not_all_run_as_they_are(images):
    class Scale(layers.Layer):  # cannot be made from a configuration
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def call(self, inputs):
            return inputs * self.factor

        def get_config(self):
            raise NotImplementedError

    class Grows(layers.Layer):  # its configuration leaves its size out
        def __init__(self, size=1, **kwargs):
            super().__init__(**kwargs)
            self.size = size

        def build(self, shape):
            self.parts = [self.add_weight(shape=()) for _ in range(self.size)]

        def call(self, inputs):
            return inputs * sum(self.parts)

        def get_config(self):
            return {"name": self.name}

    adapted = layers.Normalization()
    adapted.adapt(9 * images)
    parts = [adapted, Scale(3.0), Grows(2), layers.Flatten(), layers.Dense(5)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *parts])
    outputs, _ = Twin(model, precision="mixed_bfloat16")(images, training=False)
    expected = np.asarray(model(images))
    np.testing.assert_allclose(outputs["logits"], expected, atol=0.02 * np.abs(expected).max())


class Opaque(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(4, 3, kernel_regularizer="l2")
        self.norm = layers.BatchNormalization()
        self.dense = layers.Dense(5)

    def call(self, inputs, training=False):
        features = self.norm(self.conv(inputs), training=training)
        return {"logits": self.dense(keras.ops.mean(features, (1, 2))), "stage1": features}


def test_a_subclassed_model_gives_the_taps_of_its_dict(images):
    model = Opaque()
    expected = model(images)
    twin = Twin(model, ["stage1"], precision="mixed_bfloat16")
    assert twin.shapes == {"logits": (None, 5), "stage1": (None, 6, 6, 4)}
    outputs, losses = twin(images, training=False)
    np.testing.assert_array_equal(outputs["stage1"], expected["stage1"])
    np.testing.assert_allclose(losses, model.losses)
    twin(images, training=True)
    assert np.any(model.norm.moving_mean)
    with pytest.raises(ValueError, match=r"no tap 'stage2'; near .* stage1 \(None, 6, 6, 4\)"):
        Twin(model, ["stage2"])


def test_precision_is_one_of_three(net):
    with pytest.raises(ValueError, match=r"'bfloat16'; .*Did you mean 'mixed_bfloat16'"):
        Twin(net("m"), precision="bfloat16")
