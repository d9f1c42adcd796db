import json
import os

import numpy as np
import pytest

from kd_keras import files
from kd_keras.data.stores import store_folder, store_writer


@pytest.fixture
def folder(tmp_path, images_of):
    """A written store: 6 train images in two batches, 2 validation images."""
    images = images_of(8)
    parts = {
        "train": store_writer.SplitContents(
            6, iter([(images[:4], np.array([0, 1, 0, 1])), (images[4:6], np.array([1, 1]))])
        ),
        "validation": store_writer.SplitContents(2, iter([(images[6:], np.array([0, 1]))])),
    }
    about = {"source": "made up", "kind": "made up", "state": "one"}
    store_writer.write(
        tmp_path,
        store_writer.Contents(["cat", "dog"], parts),
        about,
        flip=True,
        advance=lambda count: None,
    )
    return tmp_path


def test_what_was_written_is_what_is_opened(folder, images_of):
    opened = store_folder.open_store(folder, verify=True)
    train, validation = opened.splits["train"], opened.splits["validation"]
    assert isinstance(train.images, np.memmap)
    np.testing.assert_array_equal(train.images, images_of(8)[:6])
    np.testing.assert_array_equal(validation.images, images_of(8)[6:])
    assert train.labels.tolist() == [0, 1, 0, 1, 1, 1]
    assert train.labels.dtype == np.int32
    assert train.ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert (opened.class_names, opened.image_shape) == (("cat", "dog"), (8, 8, 3))
    assert opened.augment.to_json() == {"crop_padding": 1, "flip": True}


def spoil(path):
    """Changes one byte near the end; its size and time of modification stay."""
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(-10, os.SEEK_END)
        byte = file.read(1)
        file.seek(-10, os.SEEK_END)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_changed_byte_is_noticed_though_size_and_time_are_put_back(folder):
    path = folder / "train.images.npy"
    spoil(path)
    with pytest.raises(
        store_folder.StoreError, match=r"train\.images\.npy is not what was written"
    ):
        store_folder.open_store(folder)


def test_verify_finds_what_a_bad_disk_changes_without_any_time(folder, monkeypatch):
    times = store_folder.times(folder / "train.images.npy")
    spoil(folder / "train.images.npy")
    monkeypatch.setattr(store_folder, "times", lambda path: times)
    header = json.loads((folder / "header.json").read_text())
    for facts in header["files"].values():
        facts |= times
    del header["sha256"]
    store_folder.write_header(folder, header)
    store_folder.open_store(folder)
    with pytest.raises(store_folder.StoreError, match="content hash differs"):
        store_folder.open_store(folder, verify=True)


def test_a_new_time_on_the_same_content_is_remembered(folder, monkeypatch):
    os.utime(folder / "train.images.npy", ns=(1, 1))
    store_folder.open_store(folder)
    monkeypatch.setattr(files, "sha256", lambda path: pytest.fail("hashed again"))
    store_folder.open_store(folder)


def test_a_file_cut_short_or_missing_is_noticed_at_every_open(folder):
    path = folder / "validation.images.npy"
    size = path.stat().st_size
    os.truncate(path, size - 1)
    with pytest.raises(store_folder.StoreError, match=rf"has {size - 1} bytes; expected {size}"):
        store_folder.open_store(folder)
    path.unlink()
    with pytest.raises(store_folder.StoreError, match=r"validation\.images\.npy is missing"):
        store_folder.open_store(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 0}'])
def test_a_header_that_is_none_is_refused(folder, text):
    (folder / "header.json").write_text(text)
    with pytest.raises(store_folder.StoreError, match=r"header\.json"):
        store_folder.open_store(folder)


def test_a_header_that_was_changed_is_refused(folder):
    path = folder / "header.json"
    header = json.loads(path.read_text())
    for change in ({"class_names": ["dog", "cat"]}, {"state": "two"}):
        path.write_text(json.dumps(header | change))
        with pytest.raises(store_folder.StoreError, match=r"header\.json was changed"):
            store_folder.open_store(folder)


def test_names_of_files_are_kept_beside_the_content(tmp_path, images_of):
    images, labels = images_of(3), np.array([0, 1, 0])
    odd = "a/\udcff.png"  # a byte of a file name that is not text
    fingerprints = []
    for place, names in (("with", ["a/1.png", odd, "b/1.png"]), ("without", None)):
        (tmp_path / place).mkdir()
        part = store_writer.SplitContents(3, iter([(images, labels)]), names)
        store_writer.write(
            tmp_path / place,
            store_writer.Contents(["a", "b"], {"train": part}),
            {"source": "made up", "kind": "made up", "state": "one"},
            flip=True,
            advance=lambda count: None,
        )
        opened = store_folder.open_store(tmp_path / place, verify=True)
        fingerprints.append(opened.fingerprint)
        expected = names and [names[2], names[1]]
        assert opened.splits["train"].take(np.array([2, 1])).names() == expected
    assert fingerprints[0] == fingerprints[1]  # names are not part of the content


@pytest.mark.parametrize("text", ["[", '["one"]', '{"a": 1}'])
def test_a_damaged_file_of_names_only_loses_the_names(folder, text):
    (folder / "train.names.json").write_text(text)
    assert store_folder.open_store(folder).splits["train"].names() is None
