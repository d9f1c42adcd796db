"""TensorBoard logs of a training run: curves, grouped by what they measure, and images."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kd_keras import files
from kd_keras.distill.step.log_names import SHARE_SUFFIX
from kd_keras.exports import system_errors

_TAGS = {
    "loss": "loss/total",
    "agreement": "distillation/agreement",
    "images_per_second": "speed/images_per_second",
    "learning_rate": "learning_rate",
}


def tag(name: str) -> str:
    """TensorBoard's tag for a log, "group/name". Groups are sorted, so accuracy comes first.

    Args:
        name: name of the log, without "val_": training and validation share a tag.
    """
    if name in _TAGS:
        return _TAGS[name]
    if re.fullmatch(r"top\d+|map|f1|.*accuracy", name):
        return f"accuracy/{name}"
    if name.startswith("held_out_"):
        return f"held_out/{name.removeprefix('held_out_')}"
    if name.endswith(SHARE_SUFFIX):
        return f"loss_share/{name.removesuffix('_share')}"
    if name.endswith("_gradient_norm"):
        return f"gradient_norm/{name.removesuffix('_gradient_norm')}"
    return f"loss/{name}"


class EpochTensorBoard(keras.callbacks.TensorBoard):
    """Keras's TensorBoard callback, for the logs of epochs only, with tags from `tag`.

    Keras's own callback prepares summaries at every step and drops them (0.4 ms per step with six
    values), and writes those of validation a second time, by step. Here logs are written to disk
    after each epoch, so that an interrupted run keeps them.

    Args:
        folder: folder of the event files.
        earlier_logs: logs by name of the epochs before the first one, which are written again.
    """

    def __init__(self, folder: str, earlier_logs: Mapping[str, Sequence[float]]) -> None:
        super().__init__(folder, write_graph=False)
        self._earlier = {name: list(values) for name, values in earlier_logs.items()}

    def on_train_begin(self, logs: Any = None) -> None:
        with _translate_errors(self.log_dir):
            super().on_train_begin(logs)
            with self._train_writer.as_default(0):
                write_graph(getattr(self.model, "student", self.model))
        for epoch in range(max(map(len, self._earlier.values()), default=0)):
            self.on_epoch_end(
                epoch, {name: values[epoch] for name, values in self._earlier.items()}
            )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass

    def on_test_end(self, logs: Any = None) -> None:
        pass

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        training = {name: v for name, v in logs.items() if not name.startswith("val_")}
        validation = {
            name.removeprefix("val_"): v for name, v in logs.items() if name not in training
        }
        self._write(self._train_writer, training, epoch)
        if validation:
            self._write(self._val_writer, validation, epoch)

    def _write(self, writer: Any, logs: Mapping[str, Any], epoch: int) -> None:
        with _translate_errors(self.log_dir):
            with writer.as_default(epoch):
                for name, value in logs.items():
                    tf.summary.scalar(tag(name), value)
            writer.flush()


class StepWriter:
    """Writes values by step, with tags from `tag` in the group "by_step", as they come.

    Args:
        folder: folder of the event files.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = folder
        with _translate_errors(folder):
            self._writer = tf.summary.create_file_writer(str(folder))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes values by name; raises OSError if that fails."""
        with _translate_errors(self._folder):
            with self._writer.as_default(step):
                for name, value in values.items():
                    tf.summary.scalar(f"by_step/{tag(name)}", value)
            self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def callback(
    folder: str | Path, *, earlier_logs: Mapping[str, Sequence[float]] | None = None
) -> keras.callbacks.TensorBoard:
    """A callback that writes each epoch's logs to `folder`/train and `folder`/validation.

    Args:
        folder: folder of the event files.
        earlier_logs: logs by name of the epochs before the first one, which are written again.
    """
    return EpochTensorBoard(str(folder), earlier_logs or {})


def write_graph(model: keras.Model) -> None:
    """Writes the layers of a model for TensorBoard's Graphs page, in the current writer.

    They are written as the graph that the page shows first; Keras's own callback writes a graph of
    thousands of operations there. Models whose layers TensorBoard cannot read, such as those with
    a `call` of their own, are left out.
    """
    from tensorboard.plugins.graph import keras_util

    try:
        layers = keras_util.keras_model_to_graph_def(json.loads(model.to_json()))
    except Exception:  # TensorBoard's reader raises what comes, such as KeyError
        return
    if len(layers.node) < 2:  # a model with a `call` of its own is one node
        return
    graph = tf.compat.v1.GraphDef.FromString(layers.SerializeToString())
    scope = f"{model.name}/"  # the page would show it as one closed box
    for node in graph.node:
        node.op = node.attr["keras_class"].s.decode()
        node.name = node.name.removeprefix(scope)
        node.input[:] = [name.removeprefix(scope) for name in node.input]
    tf.summary.graph(graph)


def write_picture(folder: str | Path, picture: np.ndarray, *, title: str) -> None:
    """Writes one picture to TensorBoard's logs.

    Args:
        folder: folder of the event files.
        picture: uint8 (height, width, 3).
        title: title of the picture in TensorBoard.
    """
    with writing_events(folder):
        tf.summary.image(title, picture[None], step=0)


@contextlib.contextmanager
def writing_events(folder: str | Path) -> Iterator[None]:
    """Writes the summaries of the block to an event file in `folder`, in place of earlier ones.

    Raises OSError if that fails.
    """
    for event_file in Path(folder).glob("events.*"):  # of a run that was interrupted after them
        event_file.unlink()
    with _translate_errors(folder):
        writer = tf.summary.create_file_writer(str(folder))
        try:
            with writer.as_default():
                yield
        finally:
            writer.close()


@contextlib.contextmanager
def _translate_errors(folder: str | Path) -> Iterator[None]:
    """Raises OSError, which names the folder, for what TensorFlow raises where a disk is full."""
    try:
        yield
    except tf.errors.OpError as error:
        raise files.format_error(Path(folder), system_errors.as_os_error(error), "") from error
