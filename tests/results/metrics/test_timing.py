import numpy as np
import pytest

from kd_keras.results.metrics import timing


def clocked(monkeypatch, seconds_of_call):
    """Latency of a predictor whose n-th call with a batch, from 0, takes so many seconds."""
    clock = {"now": 0.0}
    calls = []

    def predict(batch):
        clock["now"] += seconds_of_call(calls.count(len(batch)), len(batch))
        calls.append(len(batch))
        return np.zeros(len(batch))

    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock["now"])
    return timing.latency(predict, lambda images: np.zeros((images, 2)), seconds=0.2), calls


def test_latency_is_the_median_and_the_spread_of_warm_calls_by_image(monkeypatch):
    # The first two calls compile and warm up; the others take 0.8, 1, 1.2, 0.8 ... ms an image.
    def seconds_of_call(n, images):
        return 60.0 if n < 2 else images * (0.8 + 0.2 * ((n - 2) % 3)) / 1000

    result, calls = clocked(monkeypatch, seconds_of_call)
    assert (result["batch1"], result["batch128"]) == (pytest.approx(1.0), pytest.approx(1.0))
    # Of 0.8, 0.8, 1, 1, 1.2 the middle half is 0.8 to 1.
    assert result["spread"] == {"batch1": pytest.approx(0.2), "batch128": pytest.approx(0.1)}
    assert calls.count(1) == pytest.approx(2 + 200, abs=2)  # 0.2 s
    assert calls.count(128) == 2 + timing.FEWEST_CALLS


def test_latency_of_a_slow_model_takes_few_calls(monkeypatch):
    result, calls = clocked(monkeypatch, lambda n, images: 30.0)
    assert result["batch1"] == pytest.approx(30_000)
    assert (calls.count(1), calls.count(128)) == (3, 3)
    _, calls = clocked(monkeypatch, lambda n, images: 0.3)
    assert calls.count(1) == 2 + 5


@pytest.mark.parametrize(
    ("times", "steady"),
    [
        ({"batch1": 2.0, "spread": {"batch1": 0.6}}, True),
        ({"batch1": 2.0, "spread": {"batch1": 0.7}}, False),
        ({"batch1": 2.0}, True),
        (None, False),
    ],
)
def test_times_that_vary_much_are_of_a_busy_machine(times, steady):
    assert timing.steady({"milliseconds_per_image": times}) == steady
