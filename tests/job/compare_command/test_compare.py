"""Comparisons of copies of one real run, whose recipes and predictions are edited by hand."""

import json
import re
import shutil
from html import escape

import numpy as np
import pytest

from kd_keras.data.stores import hashed_arrays
from kd_keras.job.compare_command import compare
from kd_keras.results.metrics import statistics
from kd_keras.results.run_files import score_files
from kd_keras.results.terminal.screen import Screen


@pytest.fixture
def copy(tiny_run, tmp_path):
    """copy(name, flip, **fields) copies the run; the first `flip` images get the right answer."""

    def make(name, flip=0, **fields):
        left_out = shutil.ignore_patterns("logs", "checksums.json")
        run = shutil.copytree(tiny_run, tmp_path / name, ignore=left_out)
        recipe = json.loads((run / "recipe.json").read_text())
        (run / "recipe.json").write_text(json.dumps(recipe | fields))
        predicted = np.load(run / "student-predictions.npy")
        predicted[:flip] = score_files.load_labels(run)[:flip]
        hashed_arrays.save(run / "student-predictions.npy", predicted)
        return run

    return make


def edit(path, **entries):
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_two_recipes_are_compared_on_the_same_images(copy, tiny_run, tmp_path, capsys):
    other = copy("other", 120, method=["dist"], epochs=2)
    html = tmp_path / "page.html"
    document = compare.compare([tiny_run, other], html=html, screen=Screen())
    labels = score_files.load_labels(tiny_run)
    right = [np.load(run / "student-predictions.npy") == labels for run in (tiny_run, other)]
    (entry,) = document["differences"]
    assert (entry["group"], entry["other"]) == ("dist, epochs 2", "kd, epochs 1")
    assert entry["difference"] == pytest.approx(right[1].mean() - right[0].mean())
    assert entry["pairs"][0]["p"] == statistics.mcnemar(right[1], right[0])[2]
    by_name = {group["name"]: group for group in document["groups"]}
    assert [*by_name] == ["kd, epochs 1", "dist, epochs 2", "student alone", "teacher"]
    results = json.loads((tiny_run / "results.json").read_text())
    assert by_name["teacher"]["top1"] == pytest.approx(results["teacher"]["top1"], abs=1e-6)
    assert by_name["kd, epochs 1"]["gain"]["difference"] == pytest.approx(
        results["comparisons"][0]["difference"]
    )
    assert [*document["fields"]] == ["method", "epochs"]
    assert document["verdict"][0].startswith(
        "dist, epochs 2 is more accurate than kd, epochs 1 with seed 0 (+"
    )
    output = capsys.readouterr().out
    assert document["verdict"][0] in output
    assert "recipes differ in epochs: 1 (kd, epochs 1); 2 (dist, epochs 2)" in output
    page = html.read_text()
    assert escape(document["verdict"][0].partition(" Repeat")[0]) in page
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)
    file_names = {file.name for file in (tmp_path / "page").iterdir()}
    assert {"accuracy.png", "gain.csv", "difference.csv", "front-megabytes.png"} <= file_names


def test_seeds_of_one_recipe_are_one_group(copy, tiny_run):
    more = [copy(f"seed{seed}", 10 * seed, seed=seed) for seed in (1, 2)]
    document = compare.compare([tiny_run, *more])
    student = document["groups"][0]
    assert (student["seeds"], student["over"]) == ([0, 1, 2], "seeds")
    mean, low, high = statistics.paired_interval(student["each_top1"])
    assert (student["top1"], student["low"], student["high"]) == pytest.approx((mean, low, high))
    assert (document["differences"], document["fields"]) == ([], {})


def test_a_run_of_several_students_is_compared_within(copy):
    run = copy("several")  # edited by hand: one student is there twice, under two names
    results = json.loads((run / "results.json").read_text())
    student, spec = results.pop("student"), "plain_cnn4:width=0.5"
    for number, method in ((1, "kd"), (2, "dist")):
        entry = {**student, "role": "student", "spec": spec, "methods": [method]}
        results[f"student-{number}"] = entry
        shutil.copy(run / "student-predictions.npy", run / f"student-{number}-predictions.npy")
    results["baseline"]["spec"] = spec
    (run / "results.json").write_text(json.dumps(results))
    document = compare.compare([run])
    names = [group["name"] for group in document["groups"]]
    assert names[:2] == [f"{spec}, kd", f"{spec}, dist"]
    assert names[2:] == ["student alone", "teacher"]
    assert document["differences"][0]["difference"] == 0
    assert "no measurable difference" in document["verdict"][0]


def test_runs_that_cannot_be_compared_are_refused_with_a_message(copy, tiny_run, tmp_path):
    with pytest.raises(ValueError, match=r"there is the run .* with one student to compare"):
        compare.compare([tiny_run])
    with pytest.raises(ValueError, match=r"there is none to compare; expected two runs or more"):
        compare.compare([])
    link = tmp_path / "link"
    link.symlink_to(tiny_run)
    with pytest.raises(ValueError, match=r"link is given twice, also as .*tiny; .* Leave one out"):
        compare.compare([tiny_run, link])
    with pytest.raises(FileNotFoundError, match=r"is not a run folder: it has no recipe\.json"):
        compare.compare([tiny_run, f"{tmp_path}/"])
    unfinished = copy("unfinished")
    (unfinished / "results.json").unlink()
    with pytest.raises(ValueError, match=r"are not finished; .*\n  .*unfinished \(all .*\): kdk t"):
        compare.compare([tiny_run, unfinished])


def test_runs_on_different_data_are_refused_with_which(copy, tiny_run):
    other = copy("other", image_size=16)
    edit(other / "provenance.json", data="another")
    with pytest.raises(ValueError, match=r"different data, .* same validation images") as error:
        compare.compare([tiny_run, other])
    assert f"digits, image_size 16 (fingerprint another): {other}" in str(error.value)


def test_damaged_predictions_and_other_devices_are_reported(copy, tiny_run):
    other = copy("other", seed=1)
    edit(other / "provenance.json", devices=["/device:GPU:0"])
    assert compare.compare([tiny_run, other])["notes"] == [
        "The runs had different devices, so their times cannot be compared."
    ]
    hashed_arrays.save(other / "student-predictions.npy", np.zeros(3, int))
    with pytest.raises(ValueError, match=r"has shape \(3,\); expected \(359,\)"):
        compare.compare([tiny_run, other])
    (other / "student-predictions.npy").write_bytes(b"no array")
    with pytest.raises(ValueError, match=r"student-predictions\.npy cannot be read"):
        compare.compare([tiny_run, other])


def test_labels_of_a_run_of_an_earlier_version_come_from_its_dataset(copy, tiny_run, monkeypatch):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tiny_run.parents[1] / "cache"))
    runs = [copy(name, seed=seed) for seed, name in enumerate("ab")]
    expected = compare.compare(runs)["groups"]
    for run in runs:
        (run / score_files.LABELS).unlink()
    assert compare.compare(runs)["groups"] == expected
    for run in runs:
        edit(run / "provenance.json", data="changed since")
    with pytest.raises(ValueError, match=r"has no labels, since an earlier version made it"):
        compare.compare(runs)
