import dataclasses
import json

import numpy as np
import pytest

from kd_keras.teacher_cache import file_format


def test_a_header_comes_back_as_it_was(tmp_path, header_of):
    header = header_of(top_k=2, about={"precision": "float32"})
    file_format.write_header(tmp_path, header, np.arange(36))
    comes_back = file_format.read_header(tmp_path)
    assert len(comes_back.ids_sha256) == 64  # of the ids beside it
    assert dataclasses.replace(comes_back, ids_sha256="") == header
    assert np.load(tmp_path / "ids.npy").tolist() == list(range(36))


def test_sizes_are_reported_before_anything_is_written(header_of):
    assert (
        header_of(outputs={"logits": (200,)}, examples=100_000, dtype="float16").bytes_per_view
        == 40_000_000
    )
    small = header_of(outputs={"logits": (200,)}, examples=10, dtype="float16", top_k=4)
    assert small.bytes_per_view == 10 * (4 * 2 + 4 * 2 + 2)
    assert header_of().parts == 3


def test_what_is_no_header_of_ours_is_said(tmp_path, header_of):
    with pytest.raises(FileNotFoundError, match=r"holds no teacher cache.*`kdk cache`"):
        file_format.read_header(tmp_path)
    file_format.write_header(tmp_path, header_of(), np.arange(36))
    path = tmp_path / "header.json"
    header = json.loads(path.read_text())
    path.write_text(json.dumps({**header, "format": 2}))
    with pytest.raises(ValueError, match="has format 2; expected at most 1"):
        file_format.read_header(tmp_path)
    path.write_text(path.read_text()[:40])
    with pytest.raises(ValueError, match="is not a header of a teacher cache"):
        file_format.read_header(tmp_path)


def test_bad_settings_are_refused(header_of):
    with pytest.raises(ValueError, match=r"top_k is 5; expected less than the 5 classes"):
        header_of(top_k=5)
    with pytest.raises(ValueError, match="views is 0"):
        header_of(views=0)
    with pytest.raises(ValueError, match="cache dtype is 'float8'"):
        header_of(dtype="float8")


def test_rows_of_images_of_another_size_differ(header_of):
    small, large, unknown = (header_of(image_shape=shape) for shape in ((8, 8, 3), (9, 9, 3), ()))
    assert file_format.differences(small, large) == ["image shape"]
    assert file_format.differences(small, unknown) == file_format.differences(small, small) == []
