import types

import keras
import numpy as np
import pytest

from kd_keras.data.stores.store import Split
from kd_keras.distill.step import metrics
from kd_keras.results.evaluation import measure_model

SCORES = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [2.0, 3.0, 1.0], [1.0, 1.0, 1.0]], "float32")
LABELS = np.array([0, 0, 0, 2], "int32")


def test_accuracy_counts_labels_among_the_highest_scores():
    # Ranks of the labels: first, third, second, and third in a tie, where earlier classes win.
    assert measure_model.accuracy(SCORES, LABELS) == 0.25
    assert measure_model.accuracy(SCORES, LABELS, k=2) == 0.5
    assert measure_model.accuracy(SCORES, LABELS, k=5) == 1.0
    # A model that says the same of every class is no better than its first class.
    assert measure_model.accuracy(np.zeros((4, 3)), LABELS) == 0.75


def test_training_and_results_count_ties_and_nan_alike():
    tied = np.zeros((10, 10), "float32")
    labels = np.arange(10, dtype="int32")
    broken = np.full((10, 10), np.nan, "float32")
    one_broken = np.eye(10, dtype="float32")
    one_broken[:4, 9] = np.nan
    for scores, k, expected in [
        (tied, 1, 0.1),
        (tied, 5, 0.5),
        (broken, 5, 0.0),
        (one_broken, 1, 0.6),
        (one_broken, 10, 0.6),
    ]:
        metric = metrics.TopAccuracy(k)
        metric.update_state(labels, scores)
        assert float(metric.result()) == pytest.approx(expected)
        assert measure_model.accuracy(scores, labels, k=k) == pytest.approx(expected)


def test_scores_that_are_not_finite_are_refused():
    split = Split(np.zeros((2, 4, 4, 1), "uint8"), np.zeros(2, "int32"), np.arange(2))
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    broken = keras.Sequential([model, keras.layers.Rescaling(float("nan"))], name="broken")
    with pytest.raises(ValueError, match="model 'broken' gives scores that are NaN or infinite"):
        measure_model.scores(broken, split)


def test_scores_are_those_of_every_example_in_order(monkeypatch):
    monkeypatch.setattr(measure_model, "BATCH", 3)
    images = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 1), dtype="uint8")
    split = Split(images, np.zeros(5, "int32"), np.array([9, 2, 4, 6, 8]))
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    expected = images[[9, 2, 4, 6, 8]].reshape(5, 16)
    np.testing.assert_array_equal(measure_model.scores(model, split), expected)


def test_scores_of_many_models_are_no_reason_for_a_warning(caplog):
    split = Split(np.zeros((4, 2, 2, 1), np.uint8), np.arange(4), np.arange(4))
    for _ in range(7):
        model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
        with caplog.at_level("WARNING", logger="tensorflow"):
            measure_model.scores(model, split)
    assert "retracing" not in caplog.text


def test_an_export_resizes_files_as_the_data_were_resized(monkeypatch, tmp_path):
    split = Split(np.zeros((2, 4, 4, 1), "uint8"), np.zeros(2, "int32"), np.arange(2))
    data = types.SimpleNamespace(
        validation=split, class_names=("a", "b"), image_shape=(4, 4, 1), resize="pad"
    )
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    monkeypatch.setattr(measure_model.timing, "latency", lambda *arguments: {})
    monkeypatch.setattr(measure_model.saved_model, "megabytes", lambda folder: 1.0)
    options = {}
    monkeypatch.setattr(
        measure_model.saved_model, "saved_model", lambda *args, **more: options.update(more) or 0.0
    )
    measure_model.measure(model, data, tmp_path, np.zeros((2, 2), "float32"))
    assert options["resize"] == "pad"
    assert options["head"] == "logits"


def scored(model, data):
    return measure_model.teachers_scores(model, data)


def test_a_teachers_scores_are_kept_by_its_weights_and_the_data(tmp_path, monkeypatch):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path))
    split = Split(np.full((4, 2, 2, 1), 9, "uint8"), np.zeros(4, "int32"), np.arange(4))
    data = types.SimpleNamespace(validation=split, fingerprint="abc", class_names=("a", "b"))
    keras.utils.set_random_seed(0)
    layers = [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    first = scored(model, data)
    (file,) = tmp_path.rglob("*.npy")
    with monkeypatch.context() as patch:
        patch.setattr(measure_model, "_all_scores", None)  # not asked again
        np.testing.assert_array_equal(scored(model, data), first)
    file.write_bytes(file.read_bytes()[:-3])
    np.testing.assert_array_equal(scored(model, data), first)
    model.layers[-1].bias.assign([5.0, 0.0])
    changed = scored(model, data)
    np.testing.assert_allclose(changed - first, [[5.0, 0.0]] * 4, rtol=1e-5)
