import dataclasses

import pytest

from kd_keras.results.report import headline
from kd_keras.results.run_files.run_data import RunData


def with_entries(run, **changes):
    """The run with other entries of results.json: `student={"top1": 0.5}` changes one of them."""
    results = {
        name: {**value, **changes[name]} if name in changes and isinstance(value, dict) else value
        for name, value in run.results.items()
    }
    return dataclasses.replace(
        run, results={**results, "comparisons": changes.get("comparisons", [])}
    )


def gain(low, high, phase="student"):
    return {
        "phase": phase,
        "other": "baseline",
        "images": 300,
        "difference": 0.02,
        "low": low,
        "high": high,
    }


def test_the_sentence_has_gain_interval_share_size_and_speed(finished):
    run = with_entries(
        finished,
        teacher={"top1": 0.8, "parameters": 1234, "milliseconds_per_image": {"batch1": 3.0}},
        student={"top1": 0.6, "parameters": 100, "milliseconds_per_image": {"batch1": 2.0}},
        comparisons=[gain(0.01, 0.03)],
    )
    assert headline.sentence(run) == (
        "The distilled student is right on 60.0 % of the validation images, +2.0 points against "
        "the same network trained alone (95 % interval +1.0 to +3.0). It keeps 75 % of the "
        "teacher's accuracy, is 12 times smaller and 1.5 times faster."
    )


def test_a_slower_student_of_equal_size_is_reported(finished):
    run = with_entries(
        finished,
        teacher={"top1": 0.8, "parameters": 100, "milliseconds_per_image": {"batch1": 1.0}},
        student={"top1": 0.6, "parameters": 100, "milliseconds_per_image": {"batch1": 2.0}},
    )
    assert headline.sentence(run).endswith("is as large as it and 2.0 times slower.")


@pytest.mark.parametrize(
    ("low", "high", "look"), [(0.01, 0.03, "good"), (-0.01, 0.03, "note"), (-0.03, -0.01, "bad")]
)
def test_the_verdict_is_marked(finished, low, high, look):
    lead, verdict, *advice = headline.elements(
        with_entries(finished, comparisons=[gain(low, high)])
    )
    assert (lead.look, verdict.look) == ("lead", look)
    assert len(advice) == (look != "good")


def test_advice_names_what_the_run_shows(finished):
    # 1,000 images at batch 100 for 4 epochs; agreement and accuracy rise to 0.8 by 0.13 an epoch.
    lines = " ".join(headline.advice(finished))
    assert "Training took 40 steps, which is few, and the student was still learning" in lines
    assert "Try --epochs 40." in lines  # ten times as many at most
    assert "+13.3 points in the last quarter" in lines
    assert "300 validation images cannot show small gains. Repeat with more seeds (--seed)" in lines
    assert "capacity" not in lines
    larger = with_entries(finished, student={"parameters": 5000})
    assert "as many parameters as its teacher" in " ".join(headline.advice(larger))


@pytest.mark.parametrize("held_out", [True, False])
def test_more_images_are_held_out_only_where_there_is_no_validation_split(finished, held_out):
    fingerprint = "0123-val0.1.0" if held_out else "0123"
    data = RunData(("a", "b"), (8, 8, 3), "crop", fingerprint, "folder:x", "single")
    lines = " ".join(headline.advice(dataclasses.replace(finished, data=data)))
    assert ("or hold out more images (--val-fraction)" in lines) == held_out
    assert ("or add validation images." in lines) != held_out


def test_times_of_a_busy_machine_are_no_headline(finished):
    busy = {"batch1": 1.0, "spread": {"batch1": 0.5}}
    run = with_entries(finished, student={"milliseconds_per_image": busy})
    assert headline.sentence(run).endswith("accuracy and is 10 times smaller.")


def test_a_teacher_worse_than_the_student_alone_is_the_only_advice(finished):
    worse = {"phase": "teacher", "other": "baseline", "images": 300, "difference": -0.1}
    entries = [gain(-0.01, 0.03), {**worse, "low": -0.2, "high": -0.05}]
    (line,) = headline.what_to_try(with_entries(finished, comparisons=entries))
    assert line.startswith("Improve the teacher first")


def test_a_rise_of_a_few_images_is_no_reason_to_train_longer(finished):
    few = {**finished.results["student"]["calibration"], "images": 30}
    run = with_entries(finished, student={"calibration": few})
    assert "still learning" not in " ".join(headline.advice(run))
