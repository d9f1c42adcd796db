import os

import numpy as np
from PIL import Image

from kd_keras.job.prediction import images_to_predict


def names(images):
    return [item.name for item in images_to_predict.items(images)]


def test_a_folder_gives_its_files_sorted_without_hidden_ones(mixed_folder):
    files = names(mixed_folder)
    assert files == sorted(files)
    assert len(files) == 25  # with notes.txt, which is skipped once it is read
    assert not [name for name in files if ".trash" in name or ".DS_Store" in name]


def test_paths_keep_their_order_and_need_not_exist(tmp_path):
    assert names([tmp_path / "b.png", str(tmp_path / "a.png")]) == [
        str(tmp_path / "b.png"),
        str(tmp_path / "a.png"),
    ]


def test_an_empty_folder_is_an_item_with_an_error(tmp_path):
    (item,) = images_to_predict.items(tmp_path)
    assert "holds no files" in item.error


def test_arrays_batches_bytes_and_images_of_pillow():
    one, batch = np.zeros((4, 5, 3), np.uint8), np.ones((2, 4, 5, 3), np.uint8)
    items = images_to_predict.items([one, batch, b"bytes", Image.new("L", (5, 4)), one[..., 0]])
    shapes = [getattr(item.source, "shape", item.source) for item in items]
    assert shapes == [(4, 5, 3), (4, 5, 3), (4, 5, 3), b"bytes", (4, 5), (4, 5)]
    assert [item.name for item in items] == [None] * 6


def test_a_name_that_is_no_text_is_shown_with_escapes(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff.png"
    with open(path, "wb"):
        pass
    assert names(tmp_path) == [f"{tmp_path}/\\xff.png"]
