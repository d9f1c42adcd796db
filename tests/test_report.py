import json
import struct
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from kd_keras import report
from kd_keras.screen import Screen


def result(top1, **more):
    milliseconds = {"batch1": 1.23456, "batch128": 0.0456}
    return {
        "top1": top1,
        "top5": 0.5,
        "parameters": 36584,
        "milliseconds_per_image": milliseconds,
        **more,
    }


RESULTS = {
    "teacher": result(0.258),
    "baseline": None,
    "student": result(
        0.17349,
        export={"path": "a", "max_abs_difference": 1e-6, "megabytes": 0.412},
        seconds={"training": 1234.4, "measuring": 3.0},
    ),
}


def test_rows_show_percent_and_sizes_and_leave_out_what_was_not_asked_for():
    assert report.rows(RESULTS) == [
        ["teacher", "25.80", "50.00", "36,584", None, "1.23", "0.0456"],
        ["student distilled", "17.35", "50.00", "36,584", "0.41", "1.23", "0.0456"],
    ]
    with_baseline = report.rows({**RESULTS, "baseline": result(0.141)})
    assert [row[0] for row in with_baseline] == ["teacher", "student alone", "student distilled"]


@pytest.mark.parametrize(
    ("phases", "names"),
    [
        (["student"], ["student"]),
        (["baseline", "student"], ["student alone", "student"]),
        (
            ["teacher-1", "teacher-2", "teacher", "assistant-1", "student"],
            ["teacher 1", "teacher 2", "mean of the teachers", "assistant 1", "student distilled"],
        ),
        (
            ["teacher", "generation-1", "generation-2", "student"],
            ["teacher", "generation 1", "generation 2", "student distilled, generation 3"],
        ),
    ],
)
def test_rows_name_every_model_of_a_chain(phases, names):
    rows = report.rows({**dict.fromkeys(phases, result(0.5)), "data": {"summary": ""}})
    assert [row[0] for row in rows] == names


def test_the_time_spent_is_told_of_every_model_that_was_trained():
    file = result(0.5, seconds={"training": None, "measuring": 2.0})
    alone = result(0.5, seconds={"training": 20.4, "measuring": 2.0})
    results = {"teacher": file, "baseline": alone, "student": RESULTS["student"]}
    assert report.time_spent(results) == (
        "Training took 1,255 s (student alone 20, student distilled 1,234), evaluating, exporting "
        "and timing 7 s"
    )


def test_the_table_has_a_line_for_each_model_and_a_dash_for_what_is_unknown(capsys):
    report.table(RESULTS, Screen())
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["Results"]
    assert ["teacher", "25.80", "50.00", "36,584", "-", "1.23", "0.0456"] in lines
    student = ["student", "distilled", "17.35", "50.00", "36,584", "0.41", "1.23"]
    assert [*student, "0.0456"] in lines


def test_latency_is_the_median_warm_call_divided_by_the_images(monkeypatch):
    clock = {"now": 0.0}
    calls = []

    def predict(batch):
        # The first calls compile; of the others every fifth is held up by something else.
        calls.append(len(batch))
        warm = 10 * len(batch) / 1000
        clock["now"] += 60.0 if calls.count(len(batch)) <= 3 or len(calls) % 5 == 0 else warm
        return np.zeros(len(batch))

    monkeypatch.setattr(report.time, "perf_counter", lambda: clock["now"])
    got = report.latency(predict, lambda images: np.zeros((images, 2)), seconds=0.2)
    assert got == {"batch1": pytest.approx(10.0), "batch128": pytest.approx(10.0)}
    assert set(calls) == {1, 128}


def test_json_is_written_whole_with_numpys_numbers(tmp_path):
    path = tmp_path / "run" / "results.json"
    report.write_json(path, {"top1": np.float32(0.5), "ids": np.arange(2), "path": tmp_path})
    assert json.loads(path.read_text()) == {"top1": 0.5, "ids": [0, 1], "path": str(tmp_path)}
    with pytest.raises(ValueError, match="not JSON compliant"):
        report.write_json(path, {"top1": float("nan")})
    assert json.loads(path.read_text())["top1"] == 0.5
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


@pytest.mark.filterwarnings("error")
def test_the_plot_is_a_png_of_readable_size_although_a_key_is_missing(tmp_path):
    histories = {"teacher": {"ce": [4.0, 3.0]}, "student distilled": {"ce": [4.5, 4.0]}}
    report.plot_history(histories, tmp_path / "history.png")
    head = (tmp_path / "history.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == (1350, 540)


def test_the_grid_lays_images_out_in_rows_with_white_lines_and_white_gaps():
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1) * np.ones((1, 2, 2, 1), np.uint8)
    got = report.grid(images, columns=2)[:, :, 0]
    w = 255
    assert got.tolist() == [
        [0, 0, w, 1, 1],
        [0, 0, w, 1, 1],
        [w, w, w, w, w],
        [2, 2, w, w, w],
        [2, 2, w, w, w],
    ]
    assert report.grid(np.zeros((5, 8, 6, 3), np.uint8), columns=5).shape == (8, 34, 3)
    with pytest.raises(ValueError, match=r"columns is 0; expected a whole number >= 1\."):
        report.grid(images, columns=0)


def test_paired_interval_by_hand_and_as_scipys_t_test():
    # Mean 2, standard deviation 1, t(0.975, 2) = 4.302653: 2 -+ 4.302653 / sqrt(3).
    assert report.paired_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, -0.484138, 4.484138))
    values = np.random.default_rng(0).normal(3.0, 1.0, size=5)
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert report.paired_interval(values) == pytest.approx((values.mean(), *interval))


@pytest.mark.parametrize("differences", [[], [3.2], [3.2, float("nan")]])
def test_paired_interval_refuses_fewer_than_two_finite_seeds(differences):
    with pytest.raises(ValueError, match=r"expected two or more finite numbers, one a seed"):
        report.paired_interval(differences)


def test_bootstrap_interval_agrees_with_scipys_paired_bootstrap():
    generator = np.random.default_rng(1)
    correct_a = generator.random(400) < 0.6
    correct_b = correct_a ^ (generator.random(400) < 0.3)
    mean, low, high = report.bootstrap_interval(correct_a, correct_b, 0, samples=20_000)
    reference = stats.bootstrap(
        (correct_a.astype(float) - correct_b,),
        np.mean,
        method="percentile",
        n_resamples=20_000,
        rng=generator,
    ).confidence_interval
    assert mean == pytest.approx(correct_a.mean() - correct_b.mean())
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.003)
    assert low < mean < high


def test_bootstrap_interval_is_paired_and_seeded():
    correct = np.random.default_rng(2).random(100) < 0.5
    assert report.bootstrap_interval(correct, correct, 0) == (0.0, 0.0, 0.0)
    other = np.roll(correct, 1)
    assert report.bootstrap_interval(correct, other, 5) == report.bootstrap_interval(
        correct, other, 5
    )


def test_bootstrap_interval_refuses_models_seen_on_different_images():
    with pytest.raises(ValueError, match=r"shape \(3,\) and correct_b \(2,\)"):
        report.bootstrap_interval(np.ones(3, bool), np.ones(2, bool), 0)


def test_the_module_imports_nothing_heavy():
    code = (
        "import sys, kd_keras.report\n"
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'scipy', 'rich'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
