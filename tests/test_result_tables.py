"""The tables of docs/speed.md, docs/results.md and docs/how-to/export.md are those of the JSON."""

import json
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parent.parent / "docs"


def read(name):
    return json.loads((DOCS / f"{name}.json").read_text())


def rows(page, *, after=""):
    """First cell of each row of a page's tables, from the text `after` on, to its other cells."""
    text = (DOCS / page).read_text().partition(after)[2] if after else (DOCS / page).read_text()
    table = {}
    for line in text.splitlines():
        if line.startswith("| "):
            first_cell, *other_cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
            table.setdefault(first_cell, other_cells)
    return table


def gain(difference, low, high, *, digits=2):
    return f"{difference:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


@pytest.mark.parametrize(
    ("row", "entry"),
    [
        ("student alone", "student alone"),
        ("student alone, float32", "student alone, float32"),
        ("cached teacher", "cached"),
        ("online teacher", "online"),
        ("online teacher, float32", "online, float32"),
        ("keras.distillation", "keras.distillation"),
        ("teacher's forward pass, plain Keras", "teacher forward, plain Keras"),
    ],
)
def test_the_images_a_second_of_a_step(row, entry):
    pairs = read("bench_step")["pairs"].values()
    table = rows("speed.md", after="| images/s | ResNet8")
    assert table[row] == [f"{pair[entry]:,.0f}" for pair in pairs]


def test_the_times_the_speed_of_keras_distillation():
    pairs = read("bench_step")["pairs"].values()
    table = rows("speed.md", after="| times the speed of keras.distillation")
    for row, entry in (("online", "online"), ("cached", "cached")):
        ratios = [f"{pair[entry] / pair['keras.distillation']:.1f}" for pair in pairs]
        assert table[f"{row} teacher"] == ratios


def test_the_times_the_speed_of_pytorch():
    pair, text = read("bench_step")["pairs"]["narrow"], (DOCS / "speed.md").read_text()
    table, forms = rows("speed.md"), ("alone", "cached", "online")
    alone, cached, online = (pair[f"PyTorch {form}, bfloat16"] for form in forms)
    for form in ("online", "cached"):
        row = f"{form}, first pair, against keras.distillation / PyTorch's online loop"
        ratios = (pair[form] / pair["keras.distillation"], pair[form] / online)
        assert table[row][1] == " / ".join(f"{ratio:.1f}" for ratio in ratios) + " times"
    assert f"its cached loop is {cached / pair['cached']:.2f} times as fast" in text
    assert f"its student alone {alone / pair['student alone']:.2f} times as fast" in text


def test_the_images_a_second_in_fit():
    table = rows("speed.md", after="| steps a call")
    for calls, (bare, fit) in read("bench_fit")["images_a_second"].items():
        assert table[calls.split()[0]] == [f"{bare:,.0f}", f"{fit:,.0f}", f"{fit / bare:.2f}"]


def test_the_seconds_of_whole_jobs():
    text = (DOCS / "speed.md").read_text()
    for (run,) in read("bench_train")["runs"].values():
        if "cache" in run["way"]:
            continue
        name = run["way"].replace("kdk train", "`kdk train`")
        start, seconds = f"| {name} | {run['images']:,}", f"| {run['seconds']:,.1f} |"
        (line,) = (
            line
            for line in text.splitlines()
            if line.startswith(start) and f"| {run['batch']:,} | {run['epochs']} |" in line
        )
        assert seconds in line
        assert f"| {run['most_anonymous_bytes'] / 1e6:,.0f} |" in line


def test_the_top1_of_the_fast_paths():
    document = read("fast_paths")
    table = rows("speed.md", after="| views of an image |")
    lines = list(table.values())[1:]  # without the rule under the head
    for row, (top1, difference, *_) in zip(document["rows"], lines, strict=False):
        assert top1 == " / ".join(f"{100 * value:.2f}" for value in row["top1"])
        assert difference in ("", gain(*row["difference"]))
    assert table["bfloat16 minus float32"] == [gain(*document["bfloat16_minus_float32"])]


def test_the_milliseconds_of_a_step():
    table, kinds = rows("speed.md", after="| operations | ms a step"), read("profile_step")
    total = sum(kinds["kinds, ms"].values())
    for name, value in kinds["kinds, ms"].items():
        assert table[name] == [f"{value:.1f}", f"{100 * value / total:.0f} %"]


def test_the_gain_from_teachers_that_know_nothing():
    table = list(rows("results.md", after="| student | top-1, % | gain").values())[1:]
    for row, (top1, points, *_, ece) in zip(read("controls")["rows"], table, strict=False):
        assert top1 == f"{100 * np.mean(row['top1']):.1f}"
        assert points == (gain(*row["gain"], digits=1) if "gain" in row else "")
        assert ece == f"{row['ece']:.3f}"


def test_the_gain_with_few_labels():
    document, table = read("labels"), rows("results.md", after="| labels | labelled images")
    for means in document["means"]:
        runs = [run for run in document["runs"] if run["share"] == means["share"]]
        gains = ", ".join(gain(run["gain"], run["low"], run["high"], digits=1) for run in runs)
        accuracy = [f"{means[student]:.1f}" for student in ("alone", "distilled")]
        assert table[f"{100 * means['share']:.0f} %"] == [
            f"{runs[0]['labelled']:,}",
            *accuracy,
            gains,
        ]


def test_the_exported_files():
    tables = (DOCS / "how-to" / "export.md").read_text().split("| file | same class %")[1:]
    for run, text in zip(read("exports")["runs"].values(), tables, strict=True):
        for name, file in run["files"].items():
            (line,) = (line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
            times = file["milliseconds_per_image"]
            cells = [
                f"{times['batch1']:.2f}",
                f"{times['batch128']:.2f}",
                f"{file['megabytes']:.2f}",
            ]
            assert line.endswith(f"| {' | '.join(cells)} |"), name
            assert f"| {100 * file['top1']:.1f} |" in line
            if "agreement" in file:
                assert f"| {100 * file['agreement']:.1f} |" in line
                assert f"| {file['max_abs_difference']:.1g} |" in line


def test_the_gains_with_other_optimizers():
    study = read("optimizer_study")
    table = rows("results.md", after="### Is it the optimizer?")
    arms = study["about"]["arms"]
    assert table["alone, top-1 %"] == [f"{100 * study['about']['alone'][arm]:.1f}" for arm in arms]
    for row in study["rows"]:
        expected = [
            gain(*(100 * value for value in row[arm]["gain"]), digits=1)
            if row[arm]["gain"]
            else "diverged"
            for arm in arms
        ]
        assert table[f"`{row['method']}`"] == expected
