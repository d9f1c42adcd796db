import pytest
import tensorflow as tf

from kd_keras.job.hardware import devices


@pytest.mark.parametrize("name", ["cpu", "cpu:0", "tpu:2", "gpu:-1", "2"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(ValueError, match=rf"devices is '{name}'; expected cpu:N or gpu:N"):
        devices.get(name)


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ([], "'gpu:99', and TensorFlow finds no GPU .*; expected cpu:N. Leave --devices out"),
        (["/physical_device:GPU:0"], "'gpu:99'; expected gpu:1 or fewer.* Give --devices gpu:1"),
    ],
)
def test_more_gpus_than_there_are_are_refused(monkeypatch, there, message):
    gpus = [tf.config.PhysicalDevice(name, "GPU") for name in there]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    with pytest.raises(ValueError, match=message):
        devices.get.__wrapped__("gpu:99")


def test_cpu_devices_must_be_chosen_before_tensorflow_starts():
    tf.zeros(())  # starts it, with one
    if len(tf.config.list_logical_devices("CPU")) >= 7:
        pytest.skip("TensorFlow was started with many CPU devices")
    with pytest.raises(ValueError, match="TensorFlow has already started with"):
        devices.get("cpu:7")
