import keras
import pytest

from kd_keras.job import phases


def test_a_model_that_cannot_be_read_is_named_with_what_to_do(tmp_path, spoil_zip):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.save(tmp_path / "student.keras")
    spoil_zip(tmp_path / "student.keras", "config.json")
    with pytest.raises(ValueError, match=r"student.keras is damaged .* Restore it; or remove it"):
        phases._weights(tmp_path / "student.keras")
