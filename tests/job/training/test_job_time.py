import keras
import pytest

from kd_keras.job.training import job_time
from kd_keras.job.training.job_time import JobTime, Stage


class Clock:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(job_time.time, "perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


STAGES = [Stage(("teacher",), 100, 4.0), Stage(("student-1", "student-2"), 50, 8.0)]


def test_the_estimate_counts_what_is_past_what_is_left_and_later_stages(recorder, clock):
    screen = recorder()
    job = JobTime(STAGES, 3, screen)
    clock.now += 30  # loading data
    # 80 steps of 2 s are left; then 50 steps of twice the work: 160 + 200 s.
    job.update(STAGES[0], seconds_per_step=2.0, steps_left=80)
    assert screen.lines == [f"time left: about {job_time.format_duration(360)}"]
    assert screen.lines[-1] == "time left: about 6 minutes"
    job.update(STAGES[0], seconds_per_step=2.1, steps_left=80)
    assert len(screen.lines) == 1  # about the same
    job.add_trained(["teacher"])
    job.add_measured(10.0)
    clock.now += 190
    # 50 steps of 1 s are left, and two models of 10 s: 50 + 20 s.
    job.update(STAGES[1], seconds_per_step=1.0, steps_left=50)
    assert screen.lines[1:] == [f"time left: about {job_time.format_duration(70)}"]


def test_what_an_earlier_call_did_takes_no_time(recorder, clock):
    screen = recorder()
    job = JobTime(STAGES, 2, screen)
    job.add_trained(["student-1", "student-2"])
    job.add_measured(None)
    job.add_measured(None)
    job.update(STAGES[0], seconds_per_step=1.0, steps_left=100)
    assert screen.lines == ["time left: about 2 minutes"]


def test_a_stage_of_which_a_part_is_left_has_less_work(recorder, clock):
    screen = recorder()
    job = JobTime(STAGES[::-1], 0, screen)
    pace = job.watch(["student-2"])
    pace.set_params({"steps": 10})
    for batch, seconds in ((0, 5), (1, 1), (2, 1), (3, 1)):
        pace.on_train_batch_begin(batch)
        clock.now += seconds
    # The first of 50 steps compiles in 5 s, others take 1 s; 100 of the teacher as long each.
    pace.on_train_batch_begin(4)
    assert screen.lines == ["time left: about 2 minutes"]  # 46 + 100 s


def test_a_training_says_it_once_whatever_its_epochs(recorder, clock):
    screen = recorder()
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    stage = Stage(("student",), 6, 1.0)
    pace = JobTime([stage], 0, screen).watch(["student"])
    tick = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: setattr(clock, "now", clock.now + 10)
    )
    x = keras.ops.zeros((6, 1))
    model.fit(x, x, batch_size=3, epochs=3, verbose=0, callbacks=[tick, pace])
    assert screen.lines == ["time left: about 40 seconds"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "5 seconds"),
        (43, "45 seconds"),
        (58, "1 minute"),
        (700, "12 minutes"),
        (9e3, "2.5 hours"),
    ],
)
def test_times_are_rounded(seconds, words):
    assert job_time.format_duration(seconds) == words
