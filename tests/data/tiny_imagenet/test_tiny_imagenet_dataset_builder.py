from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from kd_keras.data.tiny_imagenet import tiny_imagenet_dataset_builder as tiny

DUMMY = Path(__file__).parents[3] / "kd_keras" / "data" / "tiny_imagenet" / "dummy_data"


class TestTinyImagenet(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = tiny.Builder
    EXAMPLE_DIR = str(DUMMY)
    SPLITS = {"train": 4, "validation": 2, "test": 1}  # noqa: RUF012


def test_the_checksum_is_that_of_the_official_archive():
    info = tiny.Builder.url_infos[tiny.URL]
    assert int(info.size) == 248_100_043
    assert info.checksum == "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821"


@pytest.fixture
def builder(tmp_path):
    builder = tiny.Builder(source=DUMMY, data_dir=tmp_path)
    builder.download_and_prepare()
    return builder


def test_examples_have_the_image_s_own_bytes_names_and_labels(builder):
    read = tfds.as_numpy(builder.as_dataset(decoders={"image": tfds.decode.SkipDecoding()}))
    for split, folder in [("train", "train/"), ("validation", "val/images/"), ("test", "test/")]:
        for example in read[split]:
            name = example["file_name"].decode()
            assert name.startswith(folder)
            assert example["image"] == (DUMMY / "tiny-imagenet-200" / name).read_bytes()
            if split == "train":
                assert example["label"] == ["n01443537", "n02123045"].index(name.split("/")[1])
            if split == "test":
                assert example["label"] == -1
    assert builder.info.features["label"].names == ["goldfish", "tabby"]
    assert builder.info.supervised_keys == ("image", "label")


def test_it_is_found_by_its_name_and_described(builder):
    assert tfds.builder("tiny_imagenet", data_dir=builder.data_dir).name == "tiny_imagenet"
    assert "200 classes of ImageNet" in builder.info.description
    assert "Le, Ya and Yang, Xuan" in builder.info.citation
