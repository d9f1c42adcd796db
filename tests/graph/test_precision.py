"""Which precision a machine, and a student on it, computes in."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kd_keras import Distiller, methods, models
from kd_keras.graph import precision


@pytest.mark.parametrize(
    ("capabilities", "flags", "best"),
    [
        ([], set(), "float32"),
        ([], {"avx2", "avx512_bf16"}, "mixed_bfloat16"),
        ([(9, 0), (8, 0)], set(), "mixed_bfloat16"),
        ([(9, 0), (7, 5)], set(), "mixed_float16"),
        ([(6, 1)], {"avx512_bf16"}, "float32"),
    ],
)
def test_best_precision_follows_the_machine(monkeypatch, capabilities, flags, best):
    details = [{"compute_capability": c} for c in capabilities]
    config = tf.config
    monkeypatch.setattr(config, "list_physical_devices", lambda kind: range(len(details)))
    monkeypatch.setattr(config.experimental, "get_device_details", lambda gpu: details[gpu])
    monkeypatch.setattr(precision, "cpu_flags", lambda: flags)
    assert precision.best_precision() == best


def test_networks_of_depthwise_convolutions_step_in_float32_on_a_cpu(monkeypatch):
    plain = models.get("resnet8", num_classes=2, input_shape=(8, 8, 3))
    depthwise = models.get("mobilenetv2", num_classes=2, input_shape=(32, 32, 3))
    nested = keras.Sequential([keras.Input((32, 32, 3)), depthwise])
    gpus = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    assert precision.precision_of_training(plain, "mixed_bfloat16") == "mixed_bfloat16"
    for model in (depthwise, nested):
        assert precision.precision_of_training(model, "mixed_bfloat16") == "float32"
        assert precision.precision_of_training(model, "mixed_float16") == "mixed_float16"
    gpus.append("one")
    assert precision.precision_of_training(depthwise, "mixed_bfloat16") == "mixed_bfloat16"


def in_policy(policy, *, dtype=None):
    """A classifier built while `policy` is Keras's global one."""
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input((8, 8, 3))
        x = layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs))
        logits = layers.Dense(5, dtype=dtype)(layers.GlobalAveragePooling2D()(x))
        return keras.Model(inputs, logits)
    finally:
        keras.config.set_dtype_policy("float32")


half_logits = pytest.mark.filterwarnings("ignore:the student .* gives its logits in:UserWarning")


class Subclassed(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs)


@keras.saving.register_keras_serializable(package="test_precision")
class InFloat16(methods.get("kd").__class__):
    """A method with a part that computes in float16."""

    def build(self, student_shape, teacher_shape):
        self.part = layers.Dense(5, dtype="mixed_float16")
        self.part.build((None, 5))


def test_the_lowest_precision_of_nested_parts_counts():
    low = in_policy("mixed_float16")
    nested = keras.Sequential([keras.Input((8, 8, 3)), in_policy("mixed_bfloat16")])
    assert precision.lowest_precision([in_policy("float32")]) == "float32"
    assert precision.lowest_precision([nested]) == "mixed_bfloat16"
    assert precision.lowest_precision([nested, Subclassed(low)]) == "mixed_float16"
    assert precision.lowest_precision([]) == "float32"


@half_logits
@pytest.mark.parametrize(
    ("student", "step", "is_scaled"),
    [
        ("float32", "float32", False),
        ("float32", "mixed_bfloat16", False),
        ("float32", "mixed_float16", True),
        ("mixed_bfloat16", "float32", False),
        ("mixed_float16", "float32", True),
        ("mixed_float16", "mixed_bfloat16", False),  # its copies compute in bfloat16
    ],
)
def test_what_the_layers_compute_in_decides_on_loss_scaling(student, step, is_scaled):
    distiller = Distiller(in_policy(student), precision=step)
    distiller.compile("sgd")
    scaled = keras.optimizers.LossScaleOptimizer
    assert type(distiller.optimizer) is (scaled if is_scaled else keras.optimizers.SGD)


@half_logits
def test_float16_in_a_subclassed_student_or_a_method_is_scaled(images, teacher):
    subclassed = Subclassed(in_policy("mixed_float16"))
    subclassed(images)
    of_method = Distiller(in_policy("float32"), teacher=teacher, methods=InFloat16())
    for distiller in (Distiller(subclassed), of_method):
        distiller.compile("sgd")
        assert type(distiller.optimizer) is keras.optimizers.LossScaleOptimizer


def test_a_global_policy_of_float16_scales_nothing_that_computes_in_float32(student):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        distiller = Distiller(student)
        distiller.compile("sgd")
    finally:
        keras.config.set_dtype_policy("float32")
    assert type(distiller.optimizer) is keras.optimizers.SGD
    assert distiller.compute_dtype == "float32"


@half_logits
@pytest.mark.parametrize(("policy", "error"), [("mixed_float16", 0.05), ("mixed_bfloat16", 0.15)])
def test_a_student_built_in_low_precision_steps_as_in_float32(policy, error):
    # Each of 64 x 64 places has a gradient too small for float16, unless the loss is scaled.
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 1, (64, 64, 64, 3)).astype("float32")
    labels = rng.integers(0, 4, 64)
    steps = []
    for dtype in ("float32", policy):
        keras.utils.set_random_seed(1)
        conv = layers.Conv2D(8, 3, activation="relu", dtype=dtype)
        small = keras.initializers.RandomNormal(stddev=0.01, seed=0)
        tail = [layers.GlobalAveragePooling2D(), layers.Dense(4, kernel_initializer=small)]
        student = keras.Sequential([keras.Input((64, 64, 3)), conv, *tail])
        before = [v.numpy() for v in conv.variables]
        distiller = Distiller(student)
        distiller.compile(keras.optimizers.SGD(1.0))
        distiller.train_on_batch(images, labels)
        after = [v.numpy() for v in conv.variables]
        steps.append([b - a for a, b in zip(before, after, strict=True)])
    for exact, actual in zip(*steps, strict=True):
        assert np.linalg.norm(actual - exact) < error * np.linalg.norm(exact)
