import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kd_keras import replicas
from kd_keras.job.hardware import devices

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("replicas")


@pytest.fixture(scope="module")
def results(folder):
    path = folder / "results.json"
    script = Path(__file__).with_name("two_replicas.py")
    command = [sys.executable, str(script), str(path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=script.parents[1])
    assert result.returncode == 0, result.stderr[-5000:]
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("one", "two", "tolerance"),
    [
        ("one", "two, two steps an execution", 1e-6),
        ("one, whole batch", "two, whole batch", 1e-6),  # and a clipped gradient
        ("one, accumulated", "two, accumulated", 1e-6),  # and a clipped gradient
        ("one, dot", "two, dot", 1e-6),  # and both gradients clipped
        ("one, muon", "two, muon", 1e-6),  # accumulated, clipped, averaged, with weight decay
        # Its batch norms divide by variances of few values: rounding grows, to 1.3e-6 with AMX.
        ("one, two stages", "two, two stages", 2e-6),
    ],
)
def test_two_replicas_give_what_one_gives(results, one, two, tolerance):
    one, two = results[one], results[two]
    assert one["steps"] == two["steps"] == 20
    for expected, actual in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)
    assert two["history"] == pytest.approx(one["history"], rel=1e-5, abs=1e-6)
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(one["history"])
    measured = {f"{name}_gradient_norm": norm for name, norm in two["norms"].items()}
    assert {name: two["history"][name] for name in measured} == pytest.approx(measured)


def test_two_replicas_train_students_side_by_side_as_one_does(results):
    one, two = results["one, side by side"], results["two, side by side"]
    assert set(one) == {"kd and fitnet", "sp"}
    for name, weights in one.items():
        for expected, actual in zip(weights, two[name], strict=True):
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


def test_replicas_draw_different_dropout_masks_and_keep_one_seed(results):
    first, second = results["states"]["masks"]
    assert first != second
    assert results["states"]["seeds"] == [[7, 1], [7, 1]]


def test_replicas_keep_the_mean_of_their_statistics(results):
    expected = np.mean(results["states"]["masks"], axis=(0, 1))  # momentum 0: the batch's own
    for mean in results["states"]["means"]:
        np.testing.assert_allclose(mean, expected, atol=1e-6)


def test_what_cannot_be_is_said(results):
    outside, inside, arrays, dataset = results["messages"]
    assert "student 'student' and the Distiller are made under different strategies" in outside
    assert "student 'inside' and the Distiller are made under different strategies" in inside
    assert "the size of the last batch is 1, which 2 devices share as [1, 0]" in arrays
    assert "A training batch leaves a device without examples; expected at least one" in dataset
    assert "drop_remainder=True" in dataset


def test_replicas_of_unequal_parts_give_what_one_gives(results):
    one, two = results["one, odd batches"], results["two, odd batches"]
    for expected, actual in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)
    assert two["history"] == pytest.approx(one["history"], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("case", ["eager", "sparse gradients"])
def test_replicas_give_what_one_gives_for_uneven_batches_of_texts(results, case):
    for expected, actual in zip(results[f"one, {case}"], results[f"two, {case}"], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("label_mode", ["single", "multi"])
def test_replicas_take_the_mean_over_the_known_labels_of_all_of_them(results, label_mode):
    one, two = (results[f"{count}, unknown labels, {label_mode}"] for count in ("one", "two"))
    for expected, actual in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)
    assert two["history"] == pytest.approx(one["history"], rel=1e-5, abs=1e-6)
    for expected, actual in zip(one["steps"], two["steps"], strict=True):
        assert actual == pytest.approx(expected, rel=1e-5, abs=1e-6)  # what progress bars show


def test_replicas_keep_one_state_of_a_subclassed_student(results):
    first, second = results["subclassed"]["statistics"]
    assert first == second
    assert min(first) != max(first)
    first, second = results["subclassed"]["seeds"]
    assert first == second


def test_each_validation_example_counts_once_as_in_the_saved_model(results):
    evaluated, saved = (results["subclassed"][name] for name in ("evaluated", "saved"))
    assert {name: evaluated[name] for name in saved} == pytest.approx(saved, rel=1e-5)


def test_compiled_metrics_take_batches_of_two_views(results):
    assert "accuracy" in results["two, two views"]
    expected = pytest.approx(results["one, two views"], rel=1e-4, abs=1e-6)
    assert results["two, two views"] == expected


def test_a_method_of_the_whole_batch_may_read_its_images(results):
    assert results["pixels"] == 7.5  # the mean of 0 to 15


@pytest.mark.parametrize("replicas", ["one", "two"])
def test_fit_calls_a_subclass_s_train_step_in_each_step(results, replicas):
    calls, logits = results[f"{replicas}, subclass"]
    assert calls == 6
    assert np.argmax(logits) == 2  # the labels that the subclass made of 0
    np.testing.assert_allclose(logits, results["one, subclass"][1], atol=1e-6)


def test_dot_on_two_replicas_equals_one(results):
    for expected, actual in zip(
        results["one, dot's steps"], results["two, dot's steps"], strict=True
    ):
        assert np.max(np.abs(np.subtract(expected, 1))) > 0.1
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


def test_the_learning_rate_of_a_schedule_is_read_under_two_replicas(results):
    assert results["learning rates"] == pytest.approx([0.2, 0.0], abs=1e-6)


@pytest.mark.usefixtures("results")
def test_a_student_of_two_replicas_is_served_as_one_of_one_device(folder, consumers):
    arrays = np.load(folder / "pixels.npz")
    consumers.check(folder / "model", arrays["pixels"], arrays["expected"])


def test_devices_are_one_object_a_process(results):
    assert results["replicas"] == 2
    assert results["is_one_object"]


def test_without_several_devices_there_is_one_replica(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    devices.get.cache_clear()
    assert devices.get().num_replicas_in_sync == 1
    assert replicas.count() == 1
    value = tf.ones(3)
    assert replicas.gathered(value) is value
    devices.get.cache_clear()
