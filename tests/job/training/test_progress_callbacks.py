import contextlib
import csv

import keras
import numpy as np
import pytest

from kd_keras.job.training import progress_callbacks


class FakeScreen:
    def __init__(self):
        self.lines, self.bars = [], []

    def say(self, text):
        self.lines.append(text)

    @contextlib.contextmanager
    def progress(self, what, total, unit="images"):
        bar = {"what": what, "total": total, "unit": unit, "done": 0, "open": True}
        self.bars.append(bar)

        def advance(n=1, **fields):
            bar["done"] += n

        try:
            yield advance
        finally:
            bar["open"] = False


@pytest.fixture(scope="module")
def logged(two_classes, tmp_path_factory):
    """Two epochs of training with the callbacks of a run; their history and folder."""
    folder = tmp_path_factory.mktemp("logs")
    watchers = [
        progress_callbacks.Speed(two_classes.BATCH),
        keras.callbacks.CSVLogger(folder / "history.csv"),
    ]
    history = two_classes.fit(two_classes.model(), watchers, validation_data=two_classes.batches())
    return history, folder


def test_speed_and_learning_rate_reach_csv_and_history(logged):
    history, folder = logged
    lines = list(csv.DictReader((folder / "history.csv").open()))
    assert [float(line["images_per_second"]) for line in lines] == history["images_per_second"]
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.1], rtol=1e-6)


def speeds(two_classes, monkeypatch, epochs):
    """images_per_second of epochs given as [(begin, end) of each step], 10 images a step."""
    speed = progress_callbacks.Speed(10)
    speed.set_model(two_classes.model())
    speed.on_train_begin()
    for number, steps in enumerate(epochs):
        clock = iter([steps[0][0], *(end for _, end in steps)])
        monkeypatch.setattr(
            progress_callbacks.time, "perf_counter", lambda clock=clock: next(clock)
        )
        speed.on_epoch_begin(number)
        for batch in range(len(steps)):
            speed.on_train_batch_begin(batch)
            speed.on_train_batch_end(batch)
        logs = {}
        speed.on_epoch_end(number, logs)
        yield logs["images_per_second"]


def test_speed_counts_from_first_begin_to_last_end_but_not_the_step_that_compiles(
    two_classes, monkeypatch
):
    compiling = [(0.0, 8.0), (8.0, 9.0), (9.0, 10.0)]  # 20 images in the 2 s after the first step
    warm = [(50.0, 51.0), (51.0, 52.0), (54.0, 55.0)]  # 30 images in 5 s, a wait for data included
    assert list(speeds(two_classes, monkeypatch, [compiling, warm])) == [10.0, 6.0]


def test_an_epoch_whose_steps_were_all_done_before_has_the_speed_of_the_time_before(two_classes):
    speed = progress_callbacks.Speed(10, skipped=3, seconds_before=4.5)
    speed.set_model(two_classes.model())
    speed.set_params({"steps": 3})
    speed.on_train_begin()
    speed.on_epoch_begin(2)
    for batch in range(3):
        speed.on_train_batch_begin(batch)
        speed.on_train_batch_end(batch)
    logs = {}
    speed.on_epoch_end(2, logs)
    assert logs["images_per_second"] == 20.0  # 90 images in 4.5 s
    assert set(logs) == {"images_per_second", "learning_rate"}


def test_speed_of_a_single_step_counts_it_although_it_compiles(two_classes, monkeypatch):
    assert list(speeds(two_classes, monkeypatch, [[(0.0, 4.0)], [(9.0, 10.0)]])) == [2.5, 10.0]


def test_speed_and_bar_refuse_a_batch_of_no_images():
    for make in (
        progress_callbacks.Speed,
        lambda n: progress_callbacks.Bar(FakeScreen(), "student", n),
    ):
        with pytest.raises(ValueError, match=r"images_per_step is 0; expected a whole number"):
            make(0)


def test_bar_and_line_show_a_bar_and_a_line_for_each_epoch(two_classes):
    screen = FakeScreen()
    line = progress_callbacks.EpochLine(screen, "student")
    with progress_callbacks.Bar(screen, "student", two_classes.BATCH) as bar:
        watching = [bar, progress_callbacks.Speed(two_classes.BATCH), line]
        history = two_classes.fit(
            two_classes.model(), watching, validation_data=two_classes.batches()
        )
    for number, bar in enumerate(screen.bars):
        assert bar == {
            "what": f"student, epoch {number + 1}/2",
            "total": two_classes.STEPS * two_classes.BATCH,
            "unit": "images",
            "done": two_classes.STEPS * two_classes.BATCH,
            "open": False,
        }
    last = {name: entry[-1] for name, entry in history.items()}
    assert screen.lines[-1] == (
        f"student, epoch 2/2: loss {last['loss']:.4f}, top1 {last['top1']:.1%}, val_top1 "
        f"{last['val_top1']:.1%}, {last['images_per_second']:,.0f} images/s"
    )
    assert len(screen.lines) == len(screen.bars) == 2


def test_a_bar_ends_when_training_breaks_off(two_classes):
    def break_off(batch, logs):
        if batch == 3:
            raise KeyboardInterrupt

    screen = FakeScreen()
    progress = progress_callbacks.Bar(screen, "student", two_classes.BATCH)
    stop = keras.callbacks.LambdaCallback(on_train_batch_begin=break_off)
    with pytest.raises(KeyboardInterrupt), progress:
        two_classes.fit(two_classes.model(), [progress, stop])
    assert [(bar["done"], bar["open"]) for bar in screen.bars] == [(3 * two_classes.BATCH, False)]
