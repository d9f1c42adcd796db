import numpy as np
import pytest

from kd_keras.data.stores import hashed_arrays


def test_an_array_that_was_changed_is_not_what_was_sealed(tmp_path):
    path, array = tmp_path / "a.npy", np.arange(6, dtype=np.float32).reshape(3, 2)
    hashed_arrays.save(path, array)
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), array)
    np.testing.assert_array_equal(hashed_arrays.load(path), array)
    rolled = path.read_bytes()[:-72] + np.roll(array, 1, axis=0).tobytes() + path.read_bytes()[-48:]
    path.write_bytes(rolled)
    np.testing.assert_array_equal(np.load(path), np.roll(array, 1, axis=0))
    with pytest.raises(ValueError, match=r"a\.npy is not what kd_keras wrote: its hash differs"):
        hashed_arrays.load(path)
    np.save(path, array)  # without a seal, by another program
    with pytest.raises(ValueError, match="its hash differs"):
        hashed_arrays.load(path)
