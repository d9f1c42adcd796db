"""What each section says, in words and numbers."""

import dataclasses

import pytest

from kd_keras.results.metrics import calibration, statistics
from kd_keras.results.page.page_elements import Table, Text
from kd_keras.results.report import (
    calibration_section,
    curves_section,
    exports_section,
    finished_run,
    models_section,
    recipe_section,
    teaching_section,
)


def table(section):
    return next(part for part in section.elements if isinstance(part, Table))


def words(section):
    return " ".join(part.text for part in section.elements if isinstance(part, Text))


def test_models_have_their_intervals_and_costs(finished, sketched):
    model_table = table(models_section.section(finished, None))
    (row,) = [row for row in model_table.rows if row[0] == "student distilled"]
    cells = dict(zip(model_table.columns, row, strict=True))
    top1 = finished.results["student"]["top1"]
    low, high = statistics.share_interval(round(300 * top1), 300)
    assert cells["95 % interval"] == f"{100 * low:.1f} to {100 * high:.1f}"
    assert (cells["parameters"], cells["multiply-adds"]) == ("100", "1,000")
    assert (cells["ms/image, batch 1"], cells["training s"]) == ("1.00 ± 0.1", "9")
    assert [model_table.rows[index][0] for index in model_table.strong] == ["student distilled"]


def test_models_that_stopped_early_show_their_best_epoch(finished, sketched):
    assert "best epoch" not in table(models_section.section(finished, None)).columns
    ends = {"stop_early": {"best_epoch": 7, "epochs": 12, "held_out_top1": 0.9}}
    results = {**finished.results, "student": {**finished.results["student"], **ends}}
    section = models_section.section(dataclasses.replace(finished, results=results), None)
    models = table(section)
    place = list(models.columns).index("best epoch")
    assert {row[0]: row[place] for row in models.rows}["student distilled"] == "7 of 12"
    assert "each model has the weights of its best epoch" in words(section)


def test_times_of_a_busy_machine_are_said(finished, sketched):
    busy = {"milliseconds_per_image": {"batch1": 1.0, "spread": {"batch1": 0.5}}}
    results = {**finished.results, "teacher": {**finished.results["teacher"], **busy}}
    section = models_section.section(dataclasses.replace(finished, results=results), None)
    assert "The times of teacher vary by more than 30 %" in words(section)


def test_accuracies_are_drawn_in_percent_and_named(finished, sketched):
    models_section.section(finished, None)
    axes = sketched["accuracy"].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "teacher",
        "student alone",
        "student distilled",
    ]
    widths = [bar.get_width() for bar in axes.patches]
    top1 = [finished.results[phase]["top1"] for phase in ("teacher", "baseline", "student")]
    assert widths == pytest.approx([100 * value for value in top1])


def test_shares_of_the_loss_fill_each_bar(finished, sketched):
    curves_section.section(finished, None)
    bars = sketched["loss-shares"].axes[0].patches
    tops = [bar.get_y() + bar.get_height() for bar in bars]
    assert tops == pytest.approx([50] * 4 + [100] * 4)


def test_calibration_names_the_temperature_that_corrects_it(finished, sketched):
    section = calibration_section.section(finished, None)
    entry = calibration.measure_calibration(finished.scores("student"), finished.labels)
    side = "overconfident" if entry["temperature"] > 1 else "not confident enough"
    assert f"{100 * entry['ece']:.1f} points off its accuracy" in words(section)
    assert f"It is {side}: divide its logits by {entry['temperature']:.2f}" in words(section)


def test_calibration_of_a_run_without_it_comes_from_its_scores(finished, sketched):
    entry = {**finished.results["student"]}
    del entry["calibration"]
    older = dataclasses.replace(finished, results={**finished.results, "student": entry})
    before, after = (
        table(calibration_section.section(run, None)).rows for run in (finished, older)
    )
    assert before == after


def test_teaching_compares_with_the_student_alone(finished, sketched):
    section = teaching_section.section(finished, None)
    distilled, alone = (finished.results[phase]["agreement"] for phase in ("student", "baseline"))
    text = words(section)
    assert f"agrees with its teacher on {100 * distilled:.1f} %" in text
    assert f"trained alone, it does on {100 * alone:.1f} %" in text
    assert "closer to the teacher's" in text
    # Norms 1 and 2: a third and two thirds.
    bars = sketched["gradient-shares"].axes[0].patches
    assert [bar.get_height() for bar in bars] == pytest.approx([100 / 3] * 4 + [200 / 3] * 4)


def test_a_term_with_a_small_gradient_is_named(finished, sketched, monkeypatch):
    norms = {"ce_gradient_norm": [1.0], "kd_gradient_norm": [0.001]}
    monkeypatch.setattr(finished_run.FinishedRun, "history", lambda run, phase: norms)
    text = words(teaching_section.section(finished, None))
    assert "The gradient of kd is below 2 % of all at the end" in text


def test_the_run_can_be_made_again(finished):
    section = recipe_section.section(finished)
    command = section.elements[1].text
    assert command == f"kdk train --recipe {finished.folder} --run ten-again"
    facts = dict(table(section).rows)
    assert facts["versions"] == "keras 3.15"
    assert facts["seed"] == 0
    fields = dict(section.elements[-1].rows)
    assert fields["method"] == "kd:temperature=3,weight=0.5"


def test_a_saved_model_is_shown_with_its_check(finished):
    rows = table(exports_section.section(finished)).rows
    assert rows[0] == ["teacher", "saved_models/x", "0.40", "1.0e-06"]


def test_files_of_kdk_export_are_shown_with_their_checks(finished):
    entry = {"format": "litert", "quantize": "int8", "images": 1000, "agreement": 0.983}
    entry |= {"top1": 0.905, "change": -0.002, "low": -0.01, "high": 0.006, "megabytes": 0.1}
    run = dataclasses.replace(
        finished, results={**finished.results, "exports": {"a.tflite": entry}}
    )
    model_table = exports_section.section(run).elements[-1]
    assert "1,000 images" in model_table.caption
    cells = ["90.5", "-0.2 (-1.0 to +0.6)", "0.10", "98.3", None, None, "litert", "int8"]
    assert model_table.rows == [["a.tflite", *cells]]
