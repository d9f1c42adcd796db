"""Caches of whole runs, on digits with a teacher of a few thousand weights."""

import json

import keras
import numpy as np
import pytest

from kd_keras import data
from kd_keras.job import train
from kd_keras.job.cache import make_cache
from kd_keras.job.models import cached_teacher
from kd_keras.results.terminal import paths
from kd_keras.results.terminal.screen import Screen
from kd_keras.teacher_cache.reader import Cache

pytestmark = pytest.mark.usefixtures("one_server", "no_report")


@pytest.fixture(autouse=True)
def stores(tmp_path, monkeypatch, no_timing):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def cached(cacheable_recipe):
    """cached(screen, **changes): the folder of a cache made with these options and fields."""

    def make(screen=None, **changes):
        known = ("taps", "top_k", "shard", "verify")
        own = {key: changes.pop(key) for key in known if key in changes}
        return make_cache.run(cacheable_recipe(**changes), screen=screen or Screen(), **own)

    return make


@pytest.fixture
def run(cacheable_recipe, tmp_path):
    """run(name, screen, **changes): a whole run in a folder of this name."""

    def make(name, screen, **changes):
        options = {"run": str(tmp_path / name), "export_dir": str(tmp_path / f"{name} exports")}
        return train.run(cacheable_recipe(**changes), screen=screen, **options)

    return make


@pytest.mark.slow
def test_a_run_makes_its_cache_and_another_finds_it(recorder, run, tmp_path):
    screen = recorder()
    first = run("a", screen)
    assert any(
        line.startswith("caching the teacher's logits: 1 view of 1,4") for line in screen.lines
    )
    stores = data.cache_folder()
    (rows,) = (stores / "teachers").iterdir()
    (images,) = stores.glob("digits-*")
    for folder in (rows, images):  # each with its size, once
        lines = [line for line in screen.lines if str(folder) in line]
        assert len(lines) == 1
        assert paths.short_path_with_size(folder) in lines[0]
    screen = recorder()
    second = run("b", screen, cache="never")
    assert not any("come from the cache" in line for line in screen.lines)
    histories = [
        json.loads((tmp_path / name / "student.json").read_text())["history"] for name in "ab"
    ]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-3)
    assert first["student"]["top1"] == pytest.approx(second["student"]["top1"], abs=0.05)
    screen = recorder()
    run("c", screen, seed=1)
    assert not any("caching" in line for line in screen.lines)
    assert any("teacher's outputs come from the cache" in line for line in screen.lines)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"views": 0}, "views is 0, a new view of each image every epoch"),
        ({"method": ["fitnet"]}, r"the methods read feature maps of the teacher \(stage2\)"),
    ],
)
def test_what_cannot_be_cached_runs_online_or_says_why(run, changes, reason):
    with pytest.raises(ValueError, match=f"cache is 'always', but {reason}"):
        run("a", Screen(), cache="always", **changes)


def test_nothing_is_cached_of_which_a_run_sees_only_a_part(recorder, cacheable_recipe, cached_rows):
    screen = recorder()
    recipe = cacheable_recipe(views=3)
    assert cached_rows(recipe, data.load("digits"), screen=screen) is None
    assert not any("caching" in line for line in screen.lines)
    assert not (data.cache_folder() / "teachers").exists()


def test_kdk_cache_makes_shards_verifies_and_is_found_by_content(
    recorder, cached, cacheable_recipe, cached_rows
):
    screen = recorder()
    folder = cached(screen, views=2, shard=(0, 2), taps=("pooled",))
    assert screen.lines[-1].endswith("this part complete, others not yet")
    screen = recorder()
    assert cached(screen, views=2, shard=(1, 2), taps=("pooled",), verify=True) == folder
    assert "complete, every part's hash checked" in screen.lines[-2]
    assert screen.lines[-1].startswith("verified: a sample computed again differs by")
    loaded = data.load("digits")
    rows = cached_rows(cacheable_recipe(), loaded)
    assert rows.folder == folder
    assert rows(loaded.train.ids[:3], 0)["logits"].shape == (3, 10)


def test_rows_of_another_precision_or_of_fewer_images_are_not_taken(
    cached, cacheable_recipe, cached_rows
):
    folder = cached(views=1)
    full_data, held_out = data.load("digits"), data.load("digits", train_holdout=0.1)
    caches = {}
    for name, loaded, precision in (
        ("bfloat16", full_data, "mixed_bfloat16"),
        ("of fewer", held_out, "float32"),
        ("of all", full_data, "float32"),
    ):
        recipe = cacheable_recipe(precision=precision)
        caches[name] = cached_rows(recipe, loaded, precision=precision).folder
    assert caches["of all"] == folder == caches["of fewer"]
    assert caches["bfloat16"] != folder


def test_the_cache_of_mirrored_views_is_not_used_for_others(cached):
    mirrored = cached(views=1, flip=True)
    assert mirrored != cached(views=1) == cached(views=1, flip=False)


def test_mixed_rows_of_other_known_labels_have_a_folder_of_their_own(cached):
    mixed = {"augment": "light", "mixup": 0.2, "views": 1}
    folders = [
        cached(**mixed, **labels)
        for labels in (
            {"labels_per_class": None},
            {"labels_per_class": 5},
            {"labels_per_class": 6},
        )
    ]
    assert len(set(folders)) == 3


def test_mixed_rows_of_more_images_are_not_taken(cached, cacheable_recipe, cached_rows):
    mixed = {"augment": "standard", "mixup": 0.2}
    expected = cached(views=1, labels_per_class=None, **mixed)
    caches = [
        cached_rows(cacheable_recipe(), data.load("digits", **settings, **mixed)).folder
        for settings in ({}, {"train_holdout": 0.1})
    ]
    assert caches[0] == expected != caches[1]


def test_the_cache_of_a_held_out_run_is_not_used_for_the_whole(cached):
    part = cached(views=1, validate_on_holdout=True)
    assert part != cached(views=1)


def test_a_cache_that_cannot_be_read_is_skipped(cached, cacheable_recipe, cached_rows):
    folder = cached(views=1)
    other = folder.with_name(folder.name.replace("seed0", "seed00"))
    folder.rename(other)
    (other / "header.json").write_text("{")
    assert cached(views=1) == folder
    rows = cached_rows(cacheable_recipe(), data.load("digits"))
    assert rows.folder == folder


def test_a_run_goes_on_without_a_cache_where_the_disk_is_full(recorder, run, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cached_teacher.writer, "make", full)
    screen = recorder()
    run("a", screen)
    assert any("No space left on device; the teacher runs beside" in line for line in screen.lines)
    with pytest.raises(OSError, match="No space left"):
        run("b", screen, cache="always")


def test_what_a_teacher_without_classes_gives_is_cached_as_pooled(cached, recorder, tmp_path):
    inputs = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(6, 3)(inputs)
    tower = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(maps))
    tower.save(tmp_path / "tower.keras")
    screen = recorder()
    file = str(tmp_path / "tower.keras")
    folder = cached(screen, teacher=file, taps=("output",), verify=True, augment="none")
    rows, digits = Cache(folder), data.load("digits", augment="none").train
    assert rows.shapes == {"pooled": (None, 6)}
    expected = tower(digits.images_at(slice(0, 9)).astype("float32"))
    result = rows(digits.ids[:9], 0)["pooled"]
    np.testing.assert_allclose(result, expected, rtol=2e-3, atol=0.05)
    assert f"--teacher cache:{folder} --views 1 --method embed" in "\n".join(screen.lines)
    with pytest.raises(ValueError, match=r"has 6 classes; .* kdk cache --taps output"):
        cached(teacher=file)
    with pytest.raises(ValueError, match=r"--taps is output, and .* gives 10 numbers, the logits"):
        cached(taps=("output",))
    with pytest.raises(ValueError, match=r"output alone or other taps"):
        cached(teacher=file, taps=("output", "conv2d"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"views": 0}, "views is 0.*Give --views"),
        ({"teacher": "resnet8"}, "'resnet8', a model that is not trained yet; expected a file"),
        ({"top_k": 10}, "top_k is 10; expected less than the 10 classes"),
        ({"taps": ("poled",)}, "has no tap 'poled'; near ones.*pooled"),
    ],
)
def test_bad_input_is_reported_with_a_message(cached, changes, message):
    with pytest.raises(ValueError, match=message):
        cached(**changes)
