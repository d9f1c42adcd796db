import signal

import pytest

from kd_keras.distill.callbacks import stop_signals


@pytest.mark.usefixtures("interruptible")
def test_a_second_signal_ends_the_process_at_once_and_ignored_ones_stay_ignored():
    before = [signal.getsignal(number) for number in stop_signals.NUMBERS]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stop_signals.StopSignals(at_once=lambda: False) as signals:
            signal.raise_signal(signal.SIGTERM)
            assert not signals.received
            signal.raise_signal(signal.SIGINT)
            assert signals.received
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
            with pytest.raises(KeyboardInterrupt):
                signals.act()
    finally:
        for number, handler in zip(stop_signals.NUMBERS, before, strict=True):
            assert number == signal.SIGTERM or signal.getsignal(number) is handler
            signal.signal(number, handler)
