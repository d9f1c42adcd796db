import numpy as np
import pytest
from scipy import special

from kd_keras.results.run_files import score_files

FEW, MANY = (6, 4), (5, 600)


def random_scores(shape, scale=3.0):
    return np.random.default_rng(0).normal(size=shape, scale=scale).astype("float32")


def test_few_scores_are_kept_as_they_are(tmp_path):
    score_files.save(tmp_path, "student", random_scores(FEW))
    np.testing.assert_array_equal(score_files.load(tmp_path, "student"), random_scores(FEW))
    np.testing.assert_array_equal(np.load(tmp_path / "student-scores.npy"), random_scores(FEW))


def test_float16_keeps_every_prediction_and_the_probabilities(tmp_path, monkeypatch):
    monkeypatch.setattr(score_files, "FLOAT32_BYTES", 0)
    logits = random_scores((400, 10)) + 1000.0  # no two logits near 1000 differ in float16
    score_files.save(tmp_path, "student", logits)
    assert np.load(tmp_path / "student-scores.npy").dtype == "float16"
    loaded = score_files.load(tmp_path, "student")
    np.testing.assert_array_equal(loaded.argmax(axis=1), logits.argmax(axis=1))
    probabilities, exact = special.softmax(loaded, axis=1), special.softmax(logits, axis=1)
    np.testing.assert_allclose(probabilities, exact, rtol=0.01, atol=1e-6)


def test_logits_beyond_float16_are_clipped_not_infinite(tmp_path, monkeypatch):
    monkeypatch.setattr(score_files, "FLOAT32_BYTES", 0)
    score_files.save(tmp_path, "student", np.array([[1e6, 0.0]], "float32"))
    np.testing.assert_array_equal(score_files.load(tmp_path, "student"), [[0.0, -65504.0]])


def test_of_many_classes_the_largest_are_kept_and_the_probability_of_the_rest(tmp_path):
    logits = random_scores(MANY)
    score_files.save(tmp_path, "student", logits)
    assert not (tmp_path / "student-scores.npy").exists()
    loaded = score_files.load(tmp_path, "student")
    assert loaded.shape == MANY
    probabilities, exact = special.softmax(loaded, axis=1), special.softmax(logits, axis=1)
    largest = np.argsort(-exact, axis=1)[:, : score_files.TOP_K]
    np.testing.assert_allclose(
        *(np.take_along_axis(p, largest, axis=1) for p in (probabilities, exact)), rtol=0.01
    )


def test_a_phase_that_left_none_has_none(tmp_path):
    assert score_files.load(tmp_path, "student") is None
    assert score_files.load_labels(tmp_path) is None


@pytest.mark.parametrize("name", ["student-scores.npy", "student-scores.npz"])
def test_a_damaged_file_counts_as_none(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04 no array")
    assert score_files.load(tmp_path, "student") is None


def test_labels_are_kept(tmp_path):
    score_files.save_labels(tmp_path, np.array([2, 0, 1]))
    assert score_files.load_labels(tmp_path).tolist() == [2, 0, 1]
