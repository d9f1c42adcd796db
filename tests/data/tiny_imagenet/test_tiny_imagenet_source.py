import hashlib
import os
import zipfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kd_keras import data
from kd_keras.data.tiny_imagenet import tiny_imagenet_dataset_builder as tiny


@pytest.fixture
def load(tmp_path):
    """load(data_dir) from a cache of its own; after an error nothing may be left in it."""
    cache = tmp_path / "cache"
    yield lambda data_dir, **options: data.load(
        "tiny_imagenet", data_dir=data_dir, cache_dir=cache, **options
    )
    assert not list(cache.glob(".*"))


def test_zip_and_folder_make_equal_stores(dummy_folder, zipped, load, tmp_path):
    from_folder = load(dummy_folder)
    from_zip = load(zipped(dummy_folder))
    assert from_folder.summary() == (
        "4 train images in 2 classes, 2 validation images, 1 unlabelled test images, 64x64x3"
    )
    assert from_folder.fingerprint == from_zip.fingerprint
    np.testing.assert_array_equal(from_folder.train.images, from_zip.train.images)
    assert from_zip.test.labels.tolist() == [-1]
    assert (from_zip.augment.crop_padding, from_zip.augment.flip) == (8, True)
    names = [path.name for path in (tmp_path / "cache").iterdir()]
    assert all(name.startswith("tiny_imagenet-64x64-") for name in names)  # no TFRecords stay


def test_every_image_is_stored_with_its_label_and_grey_ones_with_three_channels(dummy_folder, load):
    expected = {
        tf.io.decode_jpeg(path.read_bytes(), channels=3).numpy().tobytes(): label
        for label, wnid in enumerate(["n01443537", "n02123045"])
        for path in (dummy_folder / "train" / wnid / "images").iterdir()
    }
    train = load(dummy_folder).train
    stored = {
        image.tobytes(): label for image, label in zip(train.images, train.labels, strict=True)
    }
    assert stored == expected
    grey = [image for image in train.images if (image == image[..., :1]).all()]
    assert len(grey) == 1


def test_the_store_has_the_order_of_tensorflow_datasets(dummy_folder, load, tmp_path):
    builder = tiny.Builder(source=dummy_folder, data_dir=tmp_path / "tfds")
    builder.download_and_prepare()
    config = tfds.ReadConfig(interleave_cycle_length=1)
    dataset = load(dummy_folder)
    for split in ("train", "validation", "test"):
        examples = list(tfds.as_numpy(builder.as_dataset(split=split, read_config=config)))
        stored = getattr(dataset, split)
        np.testing.assert_array_equal(stored.images, [example["image"] for example in examples])
        assert stored.labels.tolist() == [example["label"] for example in examples]


def test_a_damaged_member_of_a_zip_is_named(dummy_folder, zipped, load):
    path = zipped(dummy_folder)
    name = "tiny-imagenet-200/val/images/val_1.JPEG"
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo(name).header_offset + 30 + len(name)
    with path.open("r+b") as file:
        file.seek(place + 20)
        file.write(b"\xff\xff")
    with pytest.raises(
        ValueError, match=r"^tiny-imagenet-200/val/images/val_1\.JPEG .* is damaged"
    ):
        load(path)


def test_an_image_size_resizes(dummy_folder, load):
    assert load(dummy_folder, image_size=32).image_shape == (32, 32, 3)


def test_a_jpeg_that_does_not_decode_is_named(dummy_folder, load):
    torn = dummy_folder / "val/images/val_1.JPEG"
    os.truncate(torn, 200)
    with pytest.raises(ValueError, match=r"^val/images/val_1\.JPEG does not decode as an image"):
        load(dummy_folder)


def test_a_damaged_list_is_reported_before_anything_is_prepared(dummy_folder, load):
    (dummy_folder / "wnids.txt").unlink()
    with pytest.raises(FileNotFoundError, match="expected tiny-imagenet-200"):
        load(dummy_folder)
    with pytest.raises(ValueError, match=r"has no wnids\.txt; expected the official layout"):
        load(dummy_folder.parent)


def test_a_download_is_used_like_one_s_own_zip(dummy_folder, zipped, load, monkeypatch, tmp_path):
    path = zipped(dummy_folder)
    info = tiny.Builder.url_infos[tiny.URL]
    monkeypatch.setattr(tiny, "URL", path.as_uri())
    monkeypatch.setattr(info, "checksum", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(tiny.Builder, "url_infos", {path.as_uri(): info})
    assert len(load(None).train) == 4
    assert (tmp_path / "cache" / "downloads" / path.name).exists()


def test_without_a_network_nothing_is_left(load, monkeypatch):
    info = tiny.Builder.url_infos[tiny.URL]
    monkeypatch.setattr(tiny, "URL", "http://127.0.0.1:9/tiny-imagenet-200.zip")
    monkeypatch.setattr(tiny.Builder, "url_infos", {tiny.URL: info})
    with pytest.raises(ConnectionError, match=r"--data-dir .*--recipe quickstart"):
        load(None)
