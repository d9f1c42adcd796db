"""A signal that a long step would let wait ends the process after the state before it is saved."""

import os
import signal
import threading
import time

import keras
import pytest
import tensorflow as tf

from kd_keras import Distiller
from kd_keras.distill.callbacks import checkpoint_files
from kd_keras.distill.callbacks.checkpoint import Checkpoint


class Handler:
    """What handles signals before a training of `kdk`; `saved` is what it finds at its end."""

    longest_wait = 0.2

    def __init__(self, folder):
        self.folder, self.saved = folder, []

    def __call__(self, number, frame):
        raise KeyboardInterrupt

    def end_process(self, number):
        position, _ = checkpoint_files.newest(self.folder)
        self.saved.append((number, position.step))


class SignalSoonAfter(keras.callbacks.Callback):
    """Sends SIGTERM while the step after this one runs."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.step:
            threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGTERM]).start()


def test_the_step_before_is_saved(net, images, labels, tmp_path):
    def late(*batch):
        time.sleep(0.5)
        return batch

    def in_a_thread_of_tensorflow(x, y):
        x_late, y_late = tf.numpy_function(late, [x, y], [x.dtype, y.dtype])
        return tf.ensure_shape(x_late, x.shape), tf.ensure_shape(y_late, y.shape)

    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8, drop_remainder=True)
    lines, handler = [], Handler(tmp_path)
    before = signal.signal(signal.SIGTERM, handler)
    try:
        distiller = Distiller(net("student"))
        distiller.compile()
        with (
            pytest.raises(KeyboardInterrupt),
            Checkpoint(tmp_path, tell=lines.append) as checkpoint,
        ):
            distiller.fit(
                dataset.map(in_a_thread_of_tensorflow, num_parallel_calls=1),
                callbacks=[SignalSoonAfter(2), checkpoint],
                verbose=0,
            )
    finally:
        signal.signal(signal.SIGTERM, before)
    assert handler.saved == [(signal.SIGTERM, 2)]
    assert lines == [
        "a step takes longer than 0.2 s; saved after step 2 of 5 of epoch 1",
        "saved after step 3 of 5 of epoch 1",  # a real handler has ended the process before
    ]
