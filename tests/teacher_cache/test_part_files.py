import dataclasses
import itertools
import json

import numpy as np
import pytest

from kd_keras import files
from kd_keras.teacher_cache import file_format, part_files


@pytest.fixture
def arrays(header_of):
    rng = np.random.default_rng(0)
    stored = header_of().stored
    return {n: rng.normal(size=(16, *s)).astype(d) for n, (s, d) in stored.items()}


def test_a_part_comes_back_and_is_finished_by_its_json(tmp_path, header_of, arrays):
    assert not part_files.is_finished(tmp_path, 1, 0)
    part_files.write_part(tmp_path, 1, 0, arrays)
    assert part_files.is_finished(tmp_path, 1, 0)
    for name, array in part_files.read_part(tmp_path, header_of(), 1, 0).items():
        assert isinstance(array, np.memmap)
        np.testing.assert_array_equal(array, arrays[name])
    with pytest.raises(ValueError, match=r"part 1 of view 1 .* is not finished.*`kdk cache` again"):
        part_files.read_part(tmp_path, header_of(), 1, 1)


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_part_is_found(tmp_path, header_of, arrays, harm):
    part_files.write_part(tmp_path, 0, 0, arrays)
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
        part_files.read_part(tmp_path, header_of(), 0, 0)


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
    fault = "it holds Python objects, or it is not a file of numpy.save"
    with pytest.raises(ValueError, match=rf"ids\.npy holds nothing that can be .* \({fault}\); e"):
        file_format.read_ids(tmp_path, header)
    part_files.write_part(tmp_path, 0, 0, arrays)
    facts = write(tmp_path / "view0000.part0000.logits.npy")
    path = tmp_path / "view0000.part0000.json"
    entries = json.loads(path.read_text())
    entries["files"]["view0000.part0000.logits.npy"] = facts
    path.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=rf"logits\.npy is not an array: {fault}\. Remove"):
        part_files.read_part(tmp_path, header, 0, 0)


def test_makers_share_all_parts_between_them(header_of):
    header = header_of()
    everything = set(part_files.tasks(header))
    assert everything == {(v, p) for v in range(2) for p in range(3)}
    shares = [list(part_files.tasks(header, (i, 4))) for i in range(4)]
    assert sorted(itertools.chain(*shares)) == sorted(everything)
