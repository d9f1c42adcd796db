"""Whole runs in which some images have no label, or the teacher has no classifier."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from kd_keras import data
from kd_keras.job import train
from kd_keras.results.report import finished_run, recipe_section
from kd_keras.teacher_cache import writer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_server", "no_report")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("few")


@pytest.fixture(autouse=True)
def stores(folder, monkeypatch, no_timing):
    monkeypatch.setenv("KD_KERAS_CACHE", str(folder / "stores"))


@pytest.fixture(scope="module")
def more(folder):
    """16 images without labels, in colours, two folders deep."""
    rng = np.random.default_rng(0)
    (folder / "more" / "deep").mkdir(parents=True)
    for number in range(16):
        image = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        image.save(folder / "more" / "deep" / f"{number}.png")
    return f"folder:{folder / 'more'}"


@pytest.fixture
def run(recorder, tiny_recipe):
    def run(where, **fields):
        screen = recorder()
        settings = {"epochs": 2, "teacher_epochs": 2, "batch_size": 128, "labels_per_class": 3}
        recipe = tiny_recipe(**{**settings, **fields})
        results = train.run(recipe, run=str(where), export_dir=str(where / "out"), screen=screen)
        return results, screen.lines

    return run


def history(where, phase):
    return json.loads((where / f"{phase}.json").read_text())["history"]


def test_every_model_learns_from_its_own_labels_and_the_run_says_so(run, more, tmp_path):
    where = tmp_path / "run"
    results, lines = run(where, unlabelled=[more], baseline=True, views=1, cache="always")
    counts = {"labelled_images": 30, "unlabelled_images": 1424, "teacher_labels": 1438}
    assert {name: results["data"][name] for name in counts} == counts
    text = "\n".join(lines)
    assert "16 images without labels from folder:" in text
    assert "the student learns from its teacher on 1,454 images, and from the labels of 30" in text
    assert "the teacher learns from 1,438 labels: none is hidden from it" in text
    assert (
        "Training had 30 labelled and 1,424 unlabelled images for the student, the 30 labelled "
        "ones for the student alone, 1,438 labelled ones for the teacher"
    ) in text
    # The student alone has no other images to be right on: few steps learn these by heart.
    assert history(where, "baseline")["top1"][-1] > history(where, "student")["top1"][-1]
    provenance = json.loads((where / "provenance.json").read_text())
    assert provenance["training_images"]["labelled"] == 30
    assert provenance["teacher_outputs"]["student"]["source"] == "cache"
    facts = recipe_section._data(finished_run.read(where))
    assert facts["labels"].startswith("30 labelled and 1,424 unlabelled images for the student")
    again, lines = run(where, unlabelled=[more], baseline=True, views=1, cache="always")
    assert again == results


def test_students_of_one_run_see_the_same_labels_and_a_teacher_may_see_no_more(run, tmp_path):
    results, lines = run(
        tmp_path / "run",
        method=["kd", "hard"],
        each_method=True,
        hide_from_teacher=True,
        timing=False,
    )
    assert results["data"]["teacher_labels"] == 30
    assert "the teacher learns from 30 labels: as its students do" in "\n".join(lines)
    assert history(tmp_path / "run", "teacher")["top1"][-1] > results["teacher"]["top1"]


@pytest.fixture(scope="module")
def tower(folder):
    """A file of a model that gives an embedding of 6 numbers and no classes."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    maps = layers.Conv2D(128, 3, activation="relu")(inputs)
    maps = layers.Conv2D(6, 3, activation="relu")(maps)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D(name="embedding")(maps))
    model.save(folder / "tower.keras")
    return str(folder / "tower.keras")


def test_a_tower_teaches_first_and_the_labels_afterwards(run, tower, tmp_path):
    method = ["embed:teacher_tap=output,first_stage=0.5,main_stage_weight=0"]
    results, lines = run(tmp_path / "run", teacher=tower, method=method, baseline=True)
    assert results["teacher"] is None
    assert results["teacher_embedding"] == {"model": tower, "size": 6, "parameters": 8198}
    assert results["student"]["agreement"] is None
    (entry,) = results["comparisons"]
    assert (entry["phase"], entry["other"]) == ("student", "baseline")
    assert f"teacher: {tower} gives an embedding of 6 numbers and no classes" in "\n".join(lines)
    costs = history(tmp_path / "run", "student")
    assert costs["embed"][0] > 0 == costs["embed"][1]


def test_a_tower_with_a_method_that_reads_logits_is_refused(run, tower, tmp_path):
    with pytest.raises(ValueError, match=r"tower\.keras has 6 classes; expected 10"):
        run(tmp_path / "run", teacher=tower, method=["embed:teacher_tap=output", "kd"])


def test_rows_of_an_embedding_alone_are_a_teacher(run, tmp_path):
    digits = data.load("digits")

    def ask(images):
        means = images.reshape(len(images), 8, 8).mean(axis=(1, 2))
        return {"pooled": np.stack([means, means**2 / 255, 255 - means], axis=1)}

    header = writer.header_for(digits, teacher="means", outputs={"pooled": (3,)}, views=1)
    writer.make(tmp_path / "rows", header, digits.train, ask)
    fields = {"teacher": f"cache:{tmp_path / 'rows'}", "views": 1}
    results, lines = run(tmp_path / "run", **fields, method=["embed"])
    assert results["teacher_cache"]["train_top1"] is None
    assert "pooled, no logits and so no accuracy" in "\n".join(lines)
    with pytest.raises(ValueError, match=r"holds \['pooled'\] of the teacher; expected \['logits'"):
        run(tmp_path / "other", **fields, method=["kd"])
