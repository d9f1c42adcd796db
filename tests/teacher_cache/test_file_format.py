import dataclasses
import itertools
import json

import numpy as np
import pytest

from kd_keras import files
from kd_keras.teacher_cache import file_format


@pytest.fixture
def arrays(header_of):
    rng = np.random.default_rng(0)
    stored = header_of().stored
    return {n: rng.normal(size=(16, *s)).astype(d) for n, (s, d) in stored.items()}


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


def test_a_part_comes_back_and_is_finished_by_its_json(tmp_path, header_of, arrays):
    assert not file_format.is_finished(tmp_path, 1, 0)
    file_format.write_part(tmp_path, 1, 0, arrays)
    assert file_format.is_finished(tmp_path, 1, 0)
    for name, array in file_format.read_part(tmp_path, header_of(), 1, 0).items():
        assert isinstance(array, np.memmap)
        np.testing.assert_array_equal(array, arrays[name])
    with pytest.raises(ValueError, match=r"part 1 of view 1 .* is not finished.*`kdk cache` again"):
        file_format.read_part(tmp_path, header_of(), 1, 1)


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_part_is_found(tmp_path, header_of, arrays, harm):
    file_format.write_part(tmp_path, 0, 0, arrays)
    path = tmp_path / "view0000.part0000.logits.npy"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    {
        "flip": lambda: path.write_bytes(bytes(content)),
        "cut": lambda: path.write_bytes(bytes(content[:-7])),
        "remove": path.unlink,
    }[harm]()
    what = "SHA-256 differs" if harm == "flip" else "missing or truncated"
    with pytest.raises(ValueError, match=rf"{path.name}.*{what}.*to make this part again"):
        file_format.read_part(tmp_path, header_of(), 0, 0)


@pytest.mark.parametrize("content", ["objects", "text"])
def test_what_is_no_array_of_numbers_is_said_in_our_words(tmp_path, header_of, arrays, content):
    def write(path):
        objects = np.array([{}], dtype=object)
        path.write_text("hello")
        if content == "objects":
            np.save(path, objects, allow_pickle=True)
        return {"bytes": path.stat().st_size, "sha256": files.sha256(path)}

    header = dataclasses.replace(header_of(), ids_sha256="")
    write(tmp_path / "ids.npy")
    fault = "it holds Python objects, or it is no file of numpy.save"
    with pytest.raises(ValueError, match=rf"ids\.npy holds nothing that can be .* \({fault}\); e"):
        file_format.read_ids(tmp_path, header)
    file_format.write_part(tmp_path, 0, 0, arrays)
    facts = write(tmp_path / "view0000.part0000.logits.npy")
    path = tmp_path / "view0000.part0000.json"
    entries = json.loads(path.read_text())
    entries["files"]["view0000.part0000.logits.npy"] = facts
    path.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=rf"logits\.npy is no array: {fault}\. Remove view0000"):
        file_format.read_part(tmp_path, header, 0, 0)


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


def test_makers_share_all_parts_between_them(header_of):
    header = header_of()
    everything = set(file_format.tasks(header))
    assert everything == {(v, p) for v in range(2) for p in range(3)}
    shares = [list(file_format.tasks(header, (i, 4))) for i in range(4)]
    assert sorted(itertools.chain(*shares)) == sorted(everything)


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
