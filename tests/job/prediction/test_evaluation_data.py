"""Which images a model is evaluated on."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kd_keras.data.notes import Note
from kd_keras.data.stores.store import Dataset, Split
from kd_keras.exports.metadata import Metadata
from kd_keras.job.prediction import evaluation_data
from kd_keras.job.prediction.evaluation_data import DataOptions
from kd_keras.job.prediction.evaluation_job import EvaluationJob
from kd_keras.job.prediction.opened_model import OpenedModel
from kd_keras.job.recipe import recipe_files
from kd_keras.results.terminal.screen import Screen


class NoClassifier:
    path = Path("student.keras")


def model(shape=(8, 8, 3), resize=None):
    return OpenedModel(NoClassifier(), Metadata(image_shape=shape, resize=resize), None)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def load(mixed_folder, cache, monkeypatch):
    monkeypatch.setenv("KD_KERAS_CACHE", str(cache))

    def load(opened, **options):
        notes = []
        options = DataOptions(**{"dataset": f"folder:{mixed_folder}", **options})
        return evaluation_data.load(opened, options, tell=notes.append), notes

    return load


def test_images_have_the_models_size_and_way_of_resizing(load):
    data, notes = load(model(resize="pad"))
    assert (data.image_shape, data.resize) == ((8, 8, 3), "pad")
    assert "holding out 10 % of train" in " ".join(notes)
    assert "lies in no run folder, so the validation images are a share of " in " ".join(notes)
    assert "For every labelled image, give --split all" in " ".join(notes)
    data, _ = load(model(shape=None), image_size=12, resize="squash", val_fraction=0.5)
    assert (data.image_shape, data.resize, len(data.validation)) == ((12, 12, 3), "squash", 12)


def test_only_notes_on_the_evaluated_images_are_shown_each_once(monkeypatch):
    def load(model, options, *, progress, tell):
        for note in (Note("few classes", "train"), Note("few images", "test"), "resized"):
            tell(note)

    monkeypatch.setattr(evaluation_data, "load", load)
    monkeypatch.setattr(evaluation_data, "split_of", lambda data, split: data)
    for split, expected in (("test", ["few images", "resized"]), ("all", ["resized"])):
        job = EvaluationJob(DataOptions(), split, 1, Screen(quiet=True))
        job.data_of(model())
        job.data_of(model())  # that of the teacher
        assert job.notes == expected


def test_every_labelled_image_counts_in_all(load):
    data, _ = load(model())
    everything = evaluation_data.split_of(data, "all")
    assert len(everything) == 24
    assert everything.labels.tolist() == [0] * 12 + [1] * 12
    assert everything.names() == sorted(everything.names())
    assert len(evaluation_data.split_of(data, "validation")) == len(data.validation)


def test_no_dataset_and_images_of_another_shape_are_refused(load):
    with pytest.raises(ValueError, match="lies in no run folder, and no dataset is given"):
        evaluation_data.load(model(), DataOptions())
    with pytest.raises(ValueError, match=r"takes images of 8x8x3, .* are 9x9x3.*--image-size 8"):
        load(model(), image_size=9)


def test_splits_without_images_or_labels_are_refused(load):
    data, _ = load(model())
    with pytest.raises(
        ValueError, match=r"split is 'test', but folder:.* has train and validation"
    ):
        evaluation_data.split_of(data, "test")
    unlabelled = dataclasses.replace(data.train, labels=np.full(len(data.train), -1, np.int32))
    with pytest.raises(ValueError, match=r"the test split of .* has no labels"):
        evaluation_data.split_of(dataclasses.replace(data, test=unlabelled), "test")
    with pytest.raises(ValueError, match="split is 'val'; expected one of"):
        evaluation_data.split_of(data, "val")


def test_splits_of_several_files_are_not_put_together(load):
    data, _ = load(model())
    own = Split(np.array(data.train.images), data.train.labels, data.train.ids)
    assert isinstance(data, Dataset)
    with pytest.raises(ValueError, match="has several splits of its own"):
        evaluation_data.split_of(dataclasses.replace(data, validation=own), "all")


def test_colours_become_the_grey_of_pillow_for_a_model_of_grey_images(load):
    data, notes = load(model(shape=(8, 8, 1)))
    assert "the model takes grey images: colours are turned into grey" in notes
    batch = data.train.images_at(slice(0, 4))
    assert (batch[..., :1] != batch).any()
    grey = evaluation_data.images(batch, (8, 8, 1))
    expected = [np.asarray(Image.fromarray(image).convert("L"))[..., None] for image in batch]
    np.testing.assert_array_equal(grey, expected)
    np.testing.assert_array_equal(evaluation_data.images(np.repeat(grey, 3, 3), (8, 8, 1)), grey)


def test_grey_images_become_three_channels_for_a_model_of_colours():
    batch = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    np.testing.assert_array_equal(
        evaluation_data.images(batch, (8, 8, 3)), np.concatenate([batch] * 3, axis=3)
    )
    assert evaluation_data.images(batch, (8, 8, 1)) is batch


def test_a_run_of_larger_stored_images_is_evaluated_on_its_own(mixed_folder, tmp_path, load):
    settings = {"image_size": 8, "store_size": 12, "eval_crop": 0.75, "augment": "standard"}
    recipe = recipe_files.Recipe(dataset=f"folder:{mixed_folder}", **settings)
    (tmp_path / "recipe.json").write_text(recipe_files.to_json(recipe))
    trained = OpenedModel(NoClassifier(), Metadata(image_shape=(8, 8, 3), resize=None), tmp_path)
    data, _ = load(trained, dataset=None)
    assert data.validation.images.shape[1:] == (12, 12, 3)
    assert (data.image_shape, data.validation.crop) == ((8, 8, 3), 0.75)
    # Another size, or a model of another size, has no larger images.
    other, _ = load(trained, dataset=None, image_size=8)
    assert other.validation.images.shape[1:] == (8, 8, 3)
