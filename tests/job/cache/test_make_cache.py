"""Caches of whole runs, on digits with a teacher of a few thousand weights."""

import json

import keras
import numpy as np
import pytest

from kd_keras import data, models
from kd_keras.job import train
from kd_keras.job.cache import make_cache
from kd_keras.job.hardware import devices
from kd_keras.job.models import cached_teacher
from kd_keras.job.recipe import recipe_files
from kd_keras.results.terminal import paths
from kd_keras.results.terminal.screen import Screen
from kd_keras.teacher_cache.reader import Cache

pytestmark = pytest.mark.usefixtures("one_server", "no_report")
GIVEN = {
    "student": "seed_student:width=0.5",
    "epochs": 2,
    "batch_size": 256,
    "views": 1,
    "allow_weak_teacher": True,
    "precision": "float32",
}


@pytest.fixture
def teacher_file(tmp_path, monkeypatch, no_timing):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    model = models.get("seed_student", num_classes=10, input_shape=(8, 8, 1), width=0.5)
    path = tmp_path / "teacher.keras"
    model.save(path)
    return str(path)


def recipe_of(teacher_file, **changes):
    return recipe_files.resolve("quickstart", {**GIVEN, "teacher": teacher_file, **changes})


def cached(teacher_file, screen=None, **changes):
    own = {key: changes.pop(key) for key in ("taps", "top_k", "shard", "verify") if key in changes}
    return make_cache.run(recipe_of(teacher_file, **changes), screen=screen or Screen(), **own)


@pytest.mark.slow
def test_a_run_makes_its_cache_and_another_finds_it(recorder, teacher_file, tmp_path):
    screen = recorder()
    first = train.run(
        recipe_of(teacher_file),
        run=str(tmp_path / "a"),
        screen=screen,
        export_dir=str(tmp_path / "out"),
    )
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
    online = recipe_of(teacher_file, cache="never")
    second = train.run(
        online, run=str(tmp_path / "b"), screen=screen, export_dir=str(tmp_path / "out2")
    )
    assert not any("come from the cache" in line for line in screen.lines)
    histories = [
        json.loads((tmp_path / name / "student.json").read_text())["history"] for name in "ab"
    ]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-3)
    assert first["student"]["top1"] == pytest.approx(second["student"]["top1"], abs=0.05)
    screen = recorder()
    train.run(
        recipe_of(teacher_file, seed=1),
        run=str(tmp_path / "c"),
        screen=screen,
        export_dir=str(tmp_path / "out3"),
    )
    assert not any("caching" in line for line in screen.lines)
    assert any("teacher's outputs come from the cache" in line for line in screen.lines)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"views": 0}, "views is 0, a new view of each image every epoch"),
        ({"method": ["fitnet"]}, r"the methods read feature maps of the teacher \(stage2\)"),
    ],
)
def test_what_cannot_be_cached_runs_online_or_says_why(teacher_file, tmp_path, changes, reason):
    with pytest.raises(ValueError, match=f"cache is 'always', but {reason}"):
        train.run(
            recipe_of(teacher_file, cache="always", **changes),
            run=str(tmp_path / "a"),
            screen=Screen(),
            export_dir=str(tmp_path / "out"),
        )


def test_nothing_is_cached_of_which_a_run_sees_only_a_part(recorder, teacher_file, tmp_path):
    screen = recorder()
    train.run(
        recipe_of(teacher_file, views=3),
        run=str(tmp_path / "a"),
        screen=screen,
        export_dir=str(tmp_path / "out"),
    )
    assert not any("caching" in line for line in screen.lines)


def test_kdk_cache_makes_shards_verifies_and_is_found_by_content(recorder, teacher_file):
    screen = recorder()
    folder = cached(teacher_file, screen, views=2, shard=(0, 2), taps=("pooled",))
    assert screen.lines[-1].endswith("this part complete, others not yet")
    screen = recorder()
    assert (
        cached(teacher_file, screen, views=2, shard=(1, 2), taps=("pooled",), verify=True) == folder
    )
    assert "complete, every part's hash checked" in screen.lines[-2]
    assert screen.lines[-1].startswith("verified: a sample computed again differs by")
    loaded = data.load("digits")
    rows = cached_teacher.from_model(
        recipe_of(teacher_file),
        loaded,
        _model(teacher_file),
        [],
        views_per_image=1,
        precision="float32",
        strategy=devices.get(),
        screen=Screen(),
    )
    assert rows.folder == folder
    assert rows(loaded.train.ids[:3], 0)["logits"].shape == (3, 10)


def test_rows_of_another_precision_or_of_fewer_images_are_not_taken(teacher_file):
    folder = cached(teacher_file, views=1)
    full_data, held_out = data.load("digits"), data.load("digits", select=0.1)
    caches = {}
    for name, loaded, precision in (
        ("bfloat16", full_data, "mixed_bfloat16"),
        ("of fewer", held_out, "float32"),
        ("of all", full_data, "float32"),
    ):
        caches[name] = cached_teacher.from_model(
            recipe_of(teacher_file, precision=precision),
            loaded,
            _model(teacher_file),
            [],
            views_per_image=1,
            precision=precision,
            strategy=devices.get(),
            screen=Screen(),
        ).folder
    assert caches["of all"] == folder == caches["of fewer"]
    assert caches["bfloat16"] != folder


def test_the_cache_of_mirrored_views_does_not_stand_in_for_others(teacher_file):
    mirrored = cached(teacher_file, views=1, flip=True)
    assert mirrored != cached(teacher_file, views=1) == cached(teacher_file, views=1, flip=False)


def test_mixed_rows_of_other_known_labels_have_a_folder_of_their_own(teacher_file):
    mixed = {"augment": "light", "mixup": 0.2, "views": 1}
    folders = [
        cached(teacher_file, **mixed, **labels)
        for labels in (
            {"labels_per_class": None},
            {"labels_per_class": 5},
            {"labels_per_class": 6},
        )
    ]
    assert len(set(folders)) == 3


def test_mixed_rows_of_more_images_are_not_taken(teacher_file):
    mixed = {"augment": "standard", "mixup": 0.2}
    expected = cached(teacher_file, views=1, labels_per_class=None, **mixed)
    caches = [
        cached_teacher.from_model(
            recipe_of(teacher_file),
            data.load("digits", **settings, **mixed),
            _model(teacher_file),
            [],
            views_per_image=1,
            precision="float32",
            strategy=devices.get(),
            screen=Screen(),
        ).folder
        for settings in ({}, {"select": 0.1})
    ]
    assert caches[0] == expected != caches[1]


def test_the_cache_of_a_held_out_run_does_not_stand_in_for_the_whole(teacher_file):
    part = cached(teacher_file, views=1, select=True)
    assert part != cached(teacher_file, views=1)


def test_a_cache_that_cannot_be_read_is_passed_over(teacher_file, tmp_path):
    folder = cached(teacher_file, views=1)
    other = folder.with_name(folder.name.replace("seed0", "seed00"))
    folder.rename(other)
    (other / "header.json").write_text("{")
    assert cached(teacher_file, views=1) == folder
    recipe = recipe_of(teacher_file)
    rows = cached_teacher.from_model(
        recipe,
        data.load("digits"),
        _model(teacher_file),
        [],
        views_per_image=1,
        precision="float32",
        strategy=devices.get(),
        screen=Screen(),
    )
    assert rows.folder == folder


def test_a_run_goes_on_without_a_cache_where_the_disk_is_full(
    recorder, teacher_file, tmp_path, monkeypatch
):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cached_teacher.writer, "make", full)
    screen, options = (
        recorder(),
        {"run": str(tmp_path / "a"), "export_dir": str(tmp_path / "out")},
    )
    train.run(recipe_of(teacher_file), screen=screen, **options)
    assert any("No space left on device; the teacher runs beside" in line for line in screen.lines)
    with pytest.raises(OSError, match="No space left"):
        train.run(recipe_of(teacher_file, cache="always"), screen=screen, run=str(tmp_path / "b"))


def _model(path):
    from kd_keras.models import model_files

    return model_files.open_model(path, num_classes=10)


def test_what_a_teacher_without_classes_gives_is_cached_as_pooled(teacher_file, recorder, tmp_path):
    inputs = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(6, 3)(inputs)
    tower = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(maps))
    tower.save(tmp_path / "tower.keras")
    screen = recorder()
    file = str(tmp_path / "tower.keras")
    folder = cached(file, screen, taps=("output",), verify=True, augment="none")
    rows, digits = Cache(folder), data.load("digits", augment="none").train
    assert rows.shapes == {"pooled": (None, 6)}
    expected = tower(digits.images_at(slice(0, 9)).astype("float32"))
    result = rows(digits.ids[:9], 0)["pooled"]
    np.testing.assert_allclose(result, expected, rtol=2e-3, atol=0.05)
    assert f"--teacher cache:{folder} --views 1 --method embed" in "\n".join(screen.lines)
    with pytest.raises(ValueError, match=r"has 6 classes; .* kdk cache --taps output"):
        cached(file)
    with pytest.raises(ValueError, match=r"--taps is output, and .* gives 10 numbers, the logits"):
        cached(teacher_file, taps=("output",))
    with pytest.raises(ValueError, match=r"output alone or other taps"):
        cached(file, taps=("output", "conv2d"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"views": 0}, "views is 0.*Give --views"),
        ({"teacher": "resnet8"}, "'resnet8', a model that is not trained yet; expected a file"),
        ({"top_k": 10}, "top_k is 10; expected less than the 10 classes"),
        ({"taps": ("poled",)}, "has no tap 'poled'; near ones.*pooled"),
    ],
)
def test_bad_input_is_told_in_words(teacher_file, changes, message):
    with pytest.raises(ValueError, match=message):
        cached(**{"teacher_file": teacher_file} | _as_arguments(changes, teacher_file))


def _as_arguments(changes, teacher_file):
    if "teacher" in changes:
        return {"teacher_file": changes["teacher"]}
    return changes
