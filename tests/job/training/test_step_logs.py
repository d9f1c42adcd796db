import csv
import math

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kd_keras.job.training.step_logs import StepLogs

STEPS, EPOCHS, EVERY = 5, 2, 2


@pytest.fixture
def run(tmp_path, recorder):
    """run(start, stop, folder) calls the hooks of `fit` for these steps; loss is the step.

    Labels are unknown until step `known_from` of an epoch; the accuracy is 0.5 from there on.
    """

    def call(start, stop, folder, *, known_from=0):
        logs = StepLogs(
            EVERY,
            file=tmp_path / folder / "steps.csv",
            folder=tmp_path / folder / "logs",
            screen=recorder(),
            what="student",
            steps_before=start,
        )
        (tmp_path / folder).mkdir(exist_ok=True)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.25), "mse")
        logs.set_model(model)
        logs.set_params({"steps": STEPS})
        logs.on_train_begin()
        for step in range(start, stop):
            epoch, batch = divmod(step, STEPS)
            if batch == 0 or step == start:
                logs.on_epoch_begin(epoch)
            mean = np.mean(np.arange(epoch * STEPS, step + 1))  # of the epoch so far, as Keras logs
            top1 = 0.5 if batch >= known_from else math.nan
            logs.on_train_batch_end(batch, {"loss": mean, "top1": top1, "ce_share": 1.0})
        logs.on_train_end()
        return logs

    return call


def rows(file):
    with file.open() as lines:
        return [{name: float(v) for name, v in row.items()} for row in csv.DictReader(lines)]


def test_a_value_is_the_mean_since_the_last_one_or_since_the_epoch_began(run, tmp_path):
    logs = run(0, STEPS * EPOCHS, "whole")
    result = rows(tmp_path / "whole" / "steps.csv")
    assert [row["step"] for row in result] == [2, 4, 6, 8, 10]
    # Steps 0 and 1, 2 and 3; 5 alone, since the epoch began with it; 6 and 7, 8 and 9.
    np.testing.assert_allclose([row["loss"] for row in result], [0.5, 2.5, 5.0, 6.5, 8.5])
    assert set(result[0]) == {"step", "loss", "top1", "learning_rate"}
    assert result[0]["learning_rate"] == 0.25
    assert logs.screen.lines[0] == "student, step 2: loss 0.5, top1 0.5"


def test_a_training_that_goes_on_leaves_the_same_file_and_curves(run, tmp_path):
    run(0, STEPS * EPOCHS, "whole")
    run(0, 9, "parts")
    with (tmp_path / "parts" / "steps.csv").open("a") as file:
        file.write("10,7.")  # cut by a kill
    run(3, STEPS * EPOCHS, "parts")
    for a, b in zip(
        *(rows(tmp_path / folder / "steps.csv") for folder in ("whole", "parts")), strict=True
    ):
        assert a == pytest.approx(b)
    events = EventAccumulator(str(tmp_path / "whole" / "logs")).Reload()
    assert [e.step for e in events.Tensors("by_step/loss/total")] == [2, 4, 6, 8, 10]
    assert "by_step/accuracy/top1" in events.Tags()["tensors"]


def test_a_value_that_is_known_late_in_an_epoch_is_not_diluted(run, tmp_path):
    logs = run(0, STEPS, "late", known_from=2)
    result = rows(tmp_path / "late" / "steps.csv")
    np.testing.assert_allclose([row["top1"] for row in result], [math.nan, 0.5])
    assert logs.screen.lines == ["student, step 2: loss 0.5", "student, step 4: loss 2.5, top1 0.5"]
    events = EventAccumulator(str(tmp_path / "late" / "logs")).Reload()
    assert [e.step for e in events.Tensors("by_step/accuracy/top1")] == [4]


@pytest.mark.parametrize("text", ["", "step\n", "nonsense\n1\n", "step,loss\n1,x\n"])
def test_a_damaged_file_is_written_anew(run, tmp_path, text):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "steps.csv").write_text(text)
    run(5, STEPS * EPOCHS, "a")
    assert [row["step"] for row in rows(tmp_path / "a" / "steps.csv")] == [6, 8, 10]
