import io

import h5py
import pytest

from kd_keras.models import hdf5_check, model_files


def hdf5(heap_size):
    """An HDF5 file with a text, whose size in the heap of texts is `heap_size`."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["keras_version"] = "text"
    content = bytearray(buffer.getvalue())
    at = content.find(b"GCOL") + 24
    content[at : at + 8] = heap_size.to_bytes(8, "little")
    return bytes(content)


def test_a_file_that_keeps_the_library_in_a_loop_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_check, "_SECONDS", 2)
    path = tmp_path / "model.h5"
    path.write_bytes(hdf5(heap_size=0))
    with pytest.raises(ValueError, match=r"model\.h5 keeps the HDF5 library in a loop.*copy it"):
        model_files.open_model(path)


def test_a_file_that_can_be_read_and_an_error_of_the_library_pass(tmp_path):
    path = tmp_path / "model.h5"
    for content in (hdf5(heap_size=4), hdf5(heap_size=4)[:1500]):
        path.write_bytes(content)
        hdf5_check.require_readable(path)
