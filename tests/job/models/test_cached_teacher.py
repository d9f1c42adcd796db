"""Training from a cache alone: the teacher that made it is not there any more."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from kd_keras import Distiller, methods, models
from kd_keras import data as sources
from kd_keras.job import train
from kd_keras.job.cache import make_cache
from kd_keras.job.models import cache_files
from kd_keras.job.run_folders import provenance
from kd_keras.results.terminal import paths
from kd_keras.results.terminal.screen import Screen
from kd_keras.teacher_cache.reader import Cache

pytestmark = pytest.mark.usefixtures("one_server", "no_report")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cached")


@pytest.fixture(autouse=True)
def stores(folder, monkeypatch, no_timing):
    monkeypatch.setenv("KD_KERAS_CACHE", str(folder / "stores"))


@pytest.fixture
def cache(cacheable_recipe, folder):
    return make_cache.run(cacheable_recipe(views=2), folder=folder / "rows", screen=Screen())


@pytest.fixture
def run(cacheable_recipe):
    def run(where, **changes):
        return train.run(cacheable_recipe(**changes), run=str(where), export_dir=str(where / "out"))

    return run


def history(where):
    return json.loads((where / "student.json").read_text())["history"]


@pytest.mark.slow
def test_a_student_learns_from_a_cache_as_from_the_teacher_that_made_it(
    cache, run, tmp_path, capsys
):
    run(tmp_path / "a", teacher=f"cache:{cache}", views=2)
    output = capsys.readouterr().out
    assert f"teacher: the cache {paths.short_path_with_size(cache)}, 2 views; " in output
    assert "top-1 on the first view of the training images" in output
    run(tmp_path / "b", views=2)
    losses = [history(tmp_path / name)["loss"] for name in "ab"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    results = json.loads((tmp_path / "a" / "results.json").read_text())
    assert results["teacher"] is None
    assert results["teacher_cache"]["folder"] == str(cache)
    outputs = provenance.read(tmp_path / "a")["teacher_outputs"]["student"]
    assert (outputs["source"], outputs["folder"]) == ("cache", str(cache))
    assert outputs["fingerprint"] == Cache(cache, views=2).fingerprint
    assert "student distilled" in output
    assert results["student"]["agreement"] is None
    assert "not on validation images" in results["student"]["agreement_note"]
    beside = json.loads((tmp_path / "b" / "results.json").read_text())["student"]
    predictions = [np.load(tmp_path / "b" / f"{p}-predictions.npy") for p in ("teacher", "student")]
    assert beside["agreement"] == np.mean(predictions[0] == predictions[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"views": 0}, "views is 0, .* a cache of 2 views; expected 1 to 2. Give --views 2"),
        ({"views": 3}, "has 2 views of each image; expected 3"),
        ({"view_seed": 1}, "made with a different view seed"),
        ({"validate_teacher": True}, "validate_teacher is set, and the teacher is a cache"),
        ({"flip": True}, "made with a different augmentation"),
        (
            {"augment": "strong"},
            r"different augmentation than this run.*--augment crop:padding=1\)",
        ),
        (
            {"method": ["fitnet"]},
            r"holds \['logits'\]; expected \['stage2'\] too",
        ),
        ({"method": ["simkd"]}, r"\['simkd'\] read the teacher's weights"),
        (
            {"teacher_preprocess": "torch"},
            "there is also teacher_preprocess; expected the cache alone",
        ),
        ({"allow_weak_teacher": False}, "the teacher's top-1 is .* expected at least 3"),
    ],
)
def test_a_cache_that_does_not_fit_is_refused_with_a_message(
    cache, run, tmp_path, changes, message
):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, **{"teacher": f"cache:{cache}", **changes})
    assert not (tmp_path / "recipe.json").exists()


def test_a_cache_that_is_not_there_or_damaged_is_refused(cache, run, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no teacher cache"):
        run(tmp_path, teacher=f"cache:{tmp_path}/none")
    copy = Path(shutil.copytree(cache, tmp_path / "copy"))
    rows = next(copy.glob("view0000*.npy"))
    rows.write_bytes(rows.read_bytes()[:-1])
    with pytest.raises(ValueError, match="missing or truncated"):
        run(tmp_path, teacher=f"cache:{copy}")


def test_a_cache_is_not_made_from_a_cache(cache, cacheable_recipe):
    with pytest.raises(ValueError, match="a cache already; expected a model"):
        make_cache.run(cacheable_recipe(teacher=f"cache:{cache}"), screen=Screen())


def test_a_distiller_takes_a_cache_and_says_what_it_lacks(cache):
    student = models.get("plain_cnn4", num_classes=10, input_shape=(8, 8, 1), width=0.5)
    distiller = Distiller(student, teacher=Cache(cache), methods=methods.get("kd"))
    distiller.compile()
    assert distiller.teacher.folder == cache
    images, labels = np.zeros((4, 8, 8, 1), "float32"), np.zeros(4, "int32")
    with pytest.raises(ValueError, match="a batch came without them; expected batches of"):
        distiller.fit(images, labels, verbose=0)


def test_what_lies_in_the_cache_folder_does_not_decide_the_numbers(
    folder, monkeypatch, cacheable_recipe, cached_rows
):
    monkeypatch.setenv("KD_KERAS_CACHE", str(folder / "numbers"))
    data = sources.load("digits", tell=lambda note: None)
    notes = []

    def rows_of(*, epochs):
        recipe = cacheable_recipe(views=2, epochs=epochs)
        return cached_rows(recipe, data, note=lambda **facts: notes.append(facts))

    assert rows_of(epochs=1) is None  # not all views would be seen
    rows, again = rows_of(epochs=2), rows_of(epochs=2)
    assert rows.folder == again.folder
    assert rows_of(epochs=1) is None  # though there is a cache now
    assert [facts["source"] for facts in notes] == ["teacher", "cache", "cache", "teacher"]
    assert notes[0] == notes[3]
    assert notes[1] == notes[2]
    assert notes[1]["fingerprint"] == rows.fingerprint


def test_rows_of_another_dtype_are_not_taken_by_themselves(
    folder, monkeypatch, cacheable_recipe, cached_rows
):
    monkeypatch.setenv("KD_KERAS_CACHE", str(folder / "dtypes"))
    data = sources.load("digits", tell=lambda note: None)
    rows = cached_rows(cacheable_recipe(views=2), data)
    header = rows.folder / "header.json"
    header.write_text(header.read_text().replace('"dtype": "float16"', '"dtype": "float32"'))
    assert cache_files.find(rows.header, data.train.ids) is None


@pytest.mark.slow
def test_a_student_learns_from_mixed_strong_views_as_beside_its_teacher(
    cacheable_recipe, run, tmp_path
):
    strong = {"augment": "strong", "mixup": 0.2, "cutmix": 1.0, "views": 2}
    recipe = cacheable_recipe(**strong)
    rows = make_cache.run(recipe, folder=tmp_path / "rows", dtype="float32", screen=Screen())
    run(tmp_path / "a", teacher=f"cache:{rows}", **strong)
    run(tmp_path / "b", cache="never", **strong)
    losses = [history(tmp_path / name)["loss"] for name in "ab"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert (tmp_path / "a" / "augmentation.png").is_file()
