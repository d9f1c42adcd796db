import numpy as np
import pytest

from kd_keras.results import verdict

LABELS = np.zeros(1000, int)


def predicted(right):
    """(1000,) predictions of which the first `right` are those of LABELS."""
    return (np.arange(1000) >= right).astype(int)


def verdict_of(cache=False, **right):
    """What is said of models with so many of 1000 images right, by phase."""
    results = {phase: {"top1": count / 1000} for phase, count in right.items()}
    if cache:
        results |= {"teacher": None, "teacher_cache": {"train_top1": 0.9}}
    results["data"] = {"summary": ""}
    predictions = {phase: predicted(count) for phase, count in right.items()}
    return verdict.make_verdict(results, predictions.__getitem__, LABELS, seed=0)


def test_a_gain_is_said_with_its_numbers():
    result = verdict_of(teacher=800, baseline=500, student=600)
    first, second = result["comparisons"]
    assert (first["phase"], first["other"], first["images"]) == ("student", "baseline", 1000)
    assert first["difference"] == pytest.approx(0.1)
    assert 0.08 < first["low"] < 0.1 < first["high"] < 0.12
    assert (second["phase"], second["other"]) == ("teacher", "baseline")
    assert result["verdict"][0].startswith(
        "The distilled student is more accurate than the student alone in this run, one seed "
        "(student distilled 60.0%, student alone 50.0%: +10.0 points of top-1, 95 % interval +"
    )
    assert result["verdict"][0].endswith("Repeat with more seeds (--seed) to judge the method.")
    assert result["verdict"][1].startswith("The teacher is better than the student alone (")


def test_a_teacher_worse_than_the_student_alone_is_said_with_what_to_do():
    line = verdict_of(teacher=500, baseline=600, student=610)["verdict"][1]
    assert line.startswith("The teacher is worse than the student alone (teacher 50.0%, student a")
    assert "-10.0 points" in line
    assert "--teacher-epochs" in line
    assert line.endswith("or deploy the student alone (baseline.keras in the run folder).")


def test_a_teacher_that_is_no_better_is_said_too():
    line = verdict_of(teacher=600, baseline=600, student=600)["verdict"][1]
    assert line.startswith("The teacher is not measurably better than the student alone (")


def test_a_loss_and_no_difference_are_said_with_what_to_do():
    lost = verdict_of(teacher=800, baseline=600, student=500)["verdict"][0]
    assert lost.startswith("The distilled student is less accurate than the student alone in ")
    assert "Deploy the student alone" in lost
    even = verdict_of(teacher=800, baseline=600, student=601)["verdict"][0]
    assert even.startswith(
        "There is no measurable difference between the distilled student and the stu"
    )
    assert "+0.1 points of top-1, 95 % interval +0.0 to +0.3 over 1,000 images" in even


def test_without_a_baseline_the_student_is_compared_with_its_teacher():
    (line,) = verdict_of(teacher=800, student=600)["verdict"]
    assert line.startswith("The teacher is better than the student (")
    assert "--baseline" in line
    (line,) = verdict_of(teacher=500, student=600)["verdict"]
    assert line.startswith("The student is better than its teacher (student distilled 60.0%, teach")


def test_a_cached_teacher_and_plain_training_are_compared_with_what_there_is():
    (line,) = verdict_of(cache=True, student=600)["verdict"]
    assert "cached teacher" in line
    assert "--baseline" in line
    (line,) = verdict_of(cache=True, baseline=500, student=600)["verdict"]
    assert line.startswith("The distilled student is more accurate than the student alone")
    assert verdict_of(student=600)["verdict"] == []


def test_each_of_several_students_is_compared_with_its_own_network_alone():
    results = {
        "teacher": {"top1": 0.8},
        "baseline-1": {"top1": 0.5, "spec": "a", "methods": []},
        "baseline-2": {"top1": 0.6, "spec": "b", "methods": []},
        "student-1": {"top1": 0.55, "spec": "a", "methods": ["kd"]},
        "student-2": {"top1": 0.7, "spec": "b", "methods": ["kd"]},
    }
    predictions = {p: predicted(round(1000 * r["top1"])) for p, r in results.items()}
    entries = verdict.comparisons(results, predictions, LABELS, seed=0)
    assert [(entry["phase"], entry["other"]) for entry in entries] == [
        ("student-1", "baseline-1"),
        ("student-2", "baseline-2"),
        ("teacher", "baseline-1"),
        ("teacher", "baseline-2"),
    ]


def test_five_images_of_a_few_are_no_gain():
    """The bootstrap's interval of 5 wins and no loss is above 0; McNemar's p is 1/16."""
    result = verdict_of(teacher=900, baseline=500, student=505)
    entry = result["comparisons"][0]
    assert entry["low"] > 0
    assert entry["p"] == pytest.approx(0.0625)
    assert result["verdict"][0].startswith("There is no measurable difference")
    assert verdict.direction(entry) == verdict.UNCLEAR


def test_five_images_of_a_few_do_not_make_a_teacher_worse():
    result = verdict_of(teacher=500, baseline=505)
    (entry,) = [e for e in result["comparisons"] if e["phase"] == "teacher"]
    assert (entry["high"] < 0, entry["p"]) == (True, pytest.approx(0.0625))
    (line,) = [line for line in result["verdict"] if line.startswith("The teacher")]
    assert line.startswith("The teacher is not measurably better than the student alone")
