import os
import signal
import threading
import time

import pytest
import tensorflow as tf

from kd_keras.distill.callbacks.stop_signals import NUMBERS, StopSignals


@pytest.mark.usefixtures("interruptible")
def test_a_second_signal_ends_the_process_at_once_and_ignored_ones_stay_ignored():
    before = [signal.getsignal(number) for number in NUMBERS]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with StopSignals(at_once=lambda: False) as signals:
            signal.raise_signal(signal.SIGTERM)
            assert not signals.received
            signal.raise_signal(signal.SIGINT)
            assert signals.received
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
            with pytest.raises(KeyboardInterrupt):
                signals.act()
    finally:
        for number, handler in zip(NUMBERS, before, strict=True):
            assert number == signal.SIGTERM or signal.getsignal(number) is handler
            signal.signal(number, handler)


class Handler:
    """What handles a signal before the block, as `kdk` has it; `ended` are numbers and times."""

    longest_wait = 0.3

    def __init__(self):
        self.ended = []

    def __call__(self, number, frame):
        raise KeyboardInterrupt

    def end_process(self, number):
        self.ended.append((number, time.monotonic()))


@pytest.fixture
def handler():
    handler = Handler()
    before = signal.signal(signal.SIGTERM, handler)
    yield handler
    signal.signal(signal.SIGTERM, before)


def send(signals, seconds, *delays):
    """Sends a signal after each delay, in a call of TensorFlow that takes so many seconds."""

    def sleep(x):
        time.sleep(seconds)
        return x

    def in_its_own_thread(x):
        return tf.numpy_function(sleep, [x], tf.int64)

    dataset = tf.data.Dataset.range(1).map(in_its_own_thread, num_parallel_calls=2)
    for delay in delays:
        threading.Timer(delay, os.kill, [os.getpid(), signal.SIGTERM]).start()
    with signals:
        next(iter(dataset))
        signals.act()


def test_a_signal_that_waits_too_long_ends_the_process(handler):
    limits = []
    with pytest.raises(KeyboardInterrupt):
        send(StopSignals(lambda: False, lambda: limits.append(0) or True), 1.0, 0.1)
    ((number, moment),) = handler.ended
    assert number == signal.SIGTERM
    assert moment < time.monotonic() - 0.3  # before the call ended
    assert limits == [0]


def test_a_second_signal_ends_the_process_where_the_first_has_to_wait(handler):
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        send(StopSignals(lambda: False, lambda: False), 1.2, 0.1, 0.7)
    ((_, moment),) = handler.ended
    assert moment - start > 0.6


def test_a_signal_that_is_acted_on_in_time_ends_nothing(handler):
    with pytest.raises(KeyboardInterrupt):
        send(StopSignals(lambda: False), 0.2, 0.1)
    time.sleep(0.5)
    assert not handler.ended
    assert signal.set_wakeup_fd(-1) == -1
