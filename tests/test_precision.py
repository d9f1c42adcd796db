"""Which precision a machine, and a student on it, computes in."""

import keras
import pytest
import tensorflow as tf

from kd_keras import models, precision


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
    monkeypatch.setattr(precision, "_cpu_flags", lambda: flags)
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
