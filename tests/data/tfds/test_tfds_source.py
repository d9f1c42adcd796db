import numpy as np
import pytest
import tensorflow_datasets as tfds

from kd_keras import data


class _Shapes(tfds.core.GeneratorBasedBuilder):
    """What the sets below share: grey images of 6x6, labels in turn."""

    VERSION = tfds.core.Version("1.0.0")
    SPLITS = ("train", "test")
    FEATURES = {  # noqa: RUF012
        "image": tfds.features.Image(shape=(6, 6, 1)),
        "label": tfds.features.ClassLabel(names=["round", "square"]),
    }
    skip_registration = True

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(self.FEATURES)
        )

    def _split_generators(self, dl_manager):
        return {name: self._generate_examples(len(name)) for name in self.SPLITS}

    def _generate_examples(self, count):
        for n in range(count):
            yield n, {"image": np.full((6, 6, 1), 10 * n, np.uint8), "label": n % 2}


class MnistShapes(_Shapes):
    pass


class ManySizedShapes(_Shapes):
    FEATURES = _Shapes.FEATURES | {"image": tfds.features.Image(shape=(None, None, 1))}

    def _generate_examples(self, count):
        for n in range(count):
            yield n, {"image": np.full((6 + n, 6, 1), 10 * n, np.uint8), "label": n % 2}


class OneSplitShapes(_Shapes):
    SPLITS = ("train",)


class NoTrainShapes(_Shapes):
    SPLITS = ("test",)


class NoLabelShapes(_Shapes):
    FEATURES = {"image": tfds.features.Image(shape=(6, 6, 1))}  # noqa: RUF012


class FarShapes(_Shapes):
    def _split_generators(self, dl_manager):
        dl_manager.download("http://127.0.0.1:9/shapes.zip")


class ByHandShapes(_Shapes):
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Fetch shapes.zip yourself."

    def _split_generators(self, dl_manager):
        raise NotImplementedError(dl_manager.manual_dir)


@pytest.fixture
def load(tmp_path):
    cache = tmp_path / "cache"
    yield lambda name, **options: data.load(
        f"tfds:{name}", data_dir=tmp_path / "tfds", cache_dir=cache, **options
    )
    assert not list(cache.glob(".*"))


def test_the_test_split_validates_where_there_is_no_validation(load):
    dataset = load("mnist_shapes")
    assert dataset.summary() == "5 train images in 2 classes, 4 validation images, 6x6x1"
    assert dataset.class_names == ("round", "square")
    values = dataset.train.images[:, 0, 0, 0]
    assert sorted(values) == [0, 10, 20, 30, 40]
    np.testing.assert_array_equal(dataset.train.labels, values // 10 % 2)


def test_characters_are_not_mirrored_and_other_images_are(load):
    assert not load("mnist_shapes").augment.flip
    assert load("one_split_shapes").augment.flip


def test_without_a_validation_split_a_share_of_train_is_held_out(load):
    dataset = load("one_split_shapes", val_fraction=0.4)
    assert (len(dataset.train), len(dataset.validation)) == (3, 2)


def test_images_are_resized_where_asked(load):
    assert load("mnist_shapes", image_size=12).image_shape == (12, 12, 1)


def test_images_of_several_sizes_get_their_median_side(load):
    dataset = load("many_sized_shapes")
    assert dataset.image_shape == (6, 6, 1)
    assert dataset.notes == (
        "the test split is used as validation",
        "images from 6x6 to 10x6 pixels are resized to 6x6 (their median side; see --image-size)",
        "4 of 5 images are not square: their aspect ratio is changed (--resize squash)",
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_train_shapes", r"has the splits \['test'\]; expected one named train"),
        ("no_label_shapes", r"expected an 8-bit image and a class label"),
        ("by_hand_shapes", r"is not prepared: .*Fetch shapes\.zip yourself"),
        ("mnist_shapes:9.9.9", r"mnist_shapes:9\.9\.9 does not exist in this version: .*version"),
        ("mnist_shape", r"has no dataset 'mnist_shape'; .* Did you mean tfds:mnist_shapes\?"),
    ],
)
def test_a_dataset_that_cannot_be_used_is_refused(load, name, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        load(name)


def test_without_a_network_the_message_says_what_to_do(load):
    with pytest.raises(ConnectionError, match=r"far_shapes cannot be downloaded .*--data-dir"):
        load("far_shapes")
