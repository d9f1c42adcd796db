import dataclasses

import numpy as np
import pytest

from kd_keras.data.augmentation import light
from kd_keras.data.stores.store import Dataset, Split
from kd_keras.exports.metadata import Metadata
from kd_keras.job.export_command import export_images

SHAPE = (8, 8, 3)


def split(count):
    images = np.random.default_rng(0).integers(0, 256, (count, *SHAPE), dtype=np.uint8)
    return Split(images, np.arange(count, dtype=np.int32) % 4, np.arange(count))


@pytest.fixture(scope="module")
def dataset():
    return Dataset(
        "pets", split(400), split(40), None, tuple("abcd"), SHAPE, light(0, False), "f", "pad"
    )


def choose(dataset, *, metadata=None, shape=SHAPE, count=100):
    known = metadata or Metadata()
    return export_images.choose(dataset, known, shape, calibration_images=count, seed=0)


def test_calibration_is_of_train_and_evenly_of_all_classes(dataset):
    images = choose(dataset)
    assert images.calibration.shape == (100, *SHAPE)
    rows = [
        int(np.flatnonzero((dataset.train.images == one).all((1, 2, 3)))[0])
        for one in images.calibration
    ]
    assert np.bincount(dataset.train.labels[rows]).tolist() == [25] * 4
    assert (images.check == dataset.validation.images).all()
    assert images.labels.tolist() == dataset.validation.labels.tolist()
    assert images.metadata == Metadata(tuple("abcd"), SHAPE, "pad")


def test_what_the_run_says_comes_first(dataset):
    known = Metadata(tuple("abcd"), SHAPE, "crop")
    assert choose(dataset, metadata=known).metadata == known


def test_without_a_dataset_the_check_is_on_noise():
    images = choose(None, metadata=Metadata(tuple("abcd"), SHAPE, "crop"), shape=(None, None, 3))
    assert (images.check.shape, images.labels, images.calibration) == ((32, *SHAPE), None, None)
    with pytest.raises(ValueError, match=r"of any size; expected a size.*--dataset"):
        choose(None, shape=(None, None, 3))


def test_images_or_classes_of_another_model(dataset):
    with pytest.raises(ValueError, match=r"\(8, 8, 3\); expected \(9, 8, 3\), which the model"):
        choose(dataset, shape=(9, 8, 3))
    with pytest.raises(ValueError, match=r"has the classes a, b, c, ...; expected .* d, c, b, ..."):
        choose(dataset, metadata=Metadata(tuple("dcbx")))


def test_labels_are_numbers_of_the_models_classes_matched_by_name(dataset):
    images = choose(dataset, metadata=Metadata(tuple("dcba")))
    assert images.metadata.class_names == tuple("dcba")
    assert images.labels.tolist() == (3 - dataset.validation.labels).tolist()


def test_grey_images_for_a_model_of_colours(dataset):
    grey = dataclasses.replace(
        dataset,
        **{
            name: Split(s.images[..., :1], s.labels, s.ids)
            for name, s in (("train", dataset.train), ("validation", dataset.validation))
        },
        image_shape=(8, 8, 1),
    )
    images = choose(grey)
    assert (images.shape, images.metadata.image_shape) == (SHAPE, SHAPE)
    for batch in (images.check, images.calibration):
        assert (batch == batch[..., :1]).all()
        assert batch.shape[1:] == SHAPE
    assert choose(dataset, shape=(8, 8, 1)).check.shape[1:] == (8, 8, 1)  # and the other way round


def test_too_few_images_to_calibrate(dataset):
    few = dataclasses.replace(dataset, train=split(99))
    with pytest.raises(ValueError, match=r"has 99 training images; expected at least 100.*float16"):
        export_images.check_calibration(choose(few))
    with pytest.raises(ValueError, match=r"int8 and there is no dataset.*Give --dataset"):
        export_images.check_calibration(choose(None))
    assert export_images.check_calibration(choose(dataset, count=150)) == 150


def test_classes_of_another_number(student):
    with pytest.raises(
        ValueError, match=r"student has 5 classes, and its .* have 4 \(a, b, c, ...\)"
    ):
        export_images.check_classes(student, 5, tuple("abcd"))
    export_images.check_classes(student, 5, None)
