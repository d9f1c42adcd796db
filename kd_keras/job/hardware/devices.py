"""Which devices a run uses: the strategy for `--devices`."""

import functools
import re
from typing import TypeAlias

import tensorflow as tf

from kd_keras.job.hardware import tf_config

Strategy: TypeAlias = tf.distribute.Strategy


MAX_CPUS = 64  # logical devices; starting thousands takes minutes


@functools.cache
def get(devices: str | None = None) -> Strategy:
    """The strategy for the devices named; always the same object in a process.

    Where TF_CONFIG names several processes, it is theirs together, and waits until all are there.

    Args:
        devices: "cpu:N" for N logical CPU devices, "gpu:N" for the first N GPUs, None for all
            visible GPUs, or the CPU where there is none. Of several processes, each has these.

    Raises:
        ValueError: unknown form, more GPUs than there are, or TensorFlow already started with
            other CPU devices; several CPU devices in each of several processes.
    """
    in_team = tf_config.read() is not None
    gpus = tf.config.list_physical_devices("GPU")
    gpus = [gpu.name.removeprefix("/physical_device:") for gpu in gpus]
    if devices is None:
        if in_team:
            return tf.distribute.MultiWorkerMirroredStrategy()
        return (
            tf.distribute.MirroredStrategy(gpus) if len(gpus) > 1 else tf.distribute.get_strategy()
        )
    match = re.fullmatch(r"(cpu|gpu):([1-9]\d*)", devices)
    if match is None:
        raise ValueError(
            f"devices is {devices!r}; expected cpu:N or gpu:N with N >= 1, such as cpu:2 or gpu:4."
        )
    device_type, num_devices = match[1], int(match[2])
    if device_type == "gpu" and num_devices > len(gpus):
        raise ValueError(_too_many_gpus(devices, len(gpus)))
    if in_team and device_type == "cpu" and num_devices > 1:
        raise ValueError(
            f"devices is {devices!r} and {tf_config.NAME} names several processes; expected cpu:1, "
            "one replica in each process. Give --devices cpu:1, or start more processes."
        )
    if in_team:
        tf.config.set_visible_devices(
            tf.config.list_physical_devices("GPU")[: num_devices if device_type == "gpu" else 0],
            "GPU",
        )
        return tf.distribute.MultiWorkerMirroredStrategy()
    if device_type == "gpu":  # No GPU has run this yet.
        return tf.distribute.MirroredStrategy(gpus[:num_devices])
    if num_devices > MAX_CPUS:
        raise ValueError(
            f"devices is {devices!r}; expected at most cpu:{MAX_CPUS}. Leave --devices out: "
            "TensorFlow uses all cores as one device."
        )
    _split_cpu(num_devices)
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(num_devices)])


def be_deterministic() -> None:
    """Makes TensorFlow's operations give the same bits in each run, before the first of them runs.

    On CPUs they do so by default; there it changes the numbers, since it takes other kernels.
    """
    tf.config.experimental.enable_op_determinism()  # No GPU has run this yet.


def gpu_names() -> list[str]:
    """The models of the visible GPUs, such as "NVIDIA H200"."""
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return [detail.get("device_name", "GPU") for detail in details]


def _too_many_gpus(devices: str, num_gpus: int) -> str:
    if not num_gpus:
        return (
            f"devices is {devices!r}, and TensorFlow finds no GPU on this machine; expected cpu:N. "
            "Leave --devices out to use the CPU. `kdk doctor` says what a GPU lacks."
        )
    return (
        f"devices is {devices!r}; expected gpu:{num_gpus} or fewer, the GPUs of this machine. "
        f"Give --devices gpu:{num_gpus}, or leave it out to use all."
    )


def _split_cpu(num_devices: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    configurations = [tf.config.LogicalDeviceConfiguration()] * num_devices
    try:
        tf.config.set_logical_device_configuration(cpu, configurations)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) < num_devices:
            raise ValueError(
                f"devices is 'cpu:{num_devices}', but TensorFlow has already started with "
                f"{len(tf.config.list_logical_devices('CPU'))} CPU devices; expected "
                f"{num_devices}. Choose the devices before any other use of TensorFlow in the "
                "process."
            ) from error
