import math

import keras
import numpy as np
import pytest

from kd_keras import losses

LOGITS = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], "float32"))


@pytest.mark.parametrize(
    "labels",
    [np.array([0, 2]), np.array([[0], [2]]), np.array([[1.0, 0, 0], [0, 0, 1]], "float32")],
    ids=["(B,)", "(B, 1)", "(B, C)"],
)
def test_cross_entropy_takes_classes_and_probabilities(labels):
    expected = [-math.log(0.7), -math.log(0.8)]
    np.testing.assert_allclose(losses.cross_entropy(labels, LOGITS), expected, rtol=1e-5)
    np.testing.assert_array_equal(losses.class_index(labels), [0, 2])


def test_label_smoothing_spreads_its_share_over_all_classes():
    # 0.7 of the target on the label and 0.1 on each of three classes.
    target = np.array([[0.8, 0.1, 0.1]])
    expected = -np.sum(target * LOGITS[:1], axis=1)
    result = losses.cross_entropy(np.array([0]), LOGITS[:1], label_smoothing=0.3)
    np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize("wrong", [-1, 3])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_an_index_that_is_no_class_is_never_taken_for_one(wrong, label_smoothing):
    def loss():
        return losses.cross_entropy(np.array([0, wrong]), LOGITS, label_smoothing=label_smoothing)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(loss, jit_compile=True)
        np.testing.assert_array_equal(np.isnan(compiled()), [False, True])
        with (
            tf.device("CPU"),
            pytest.raises(tf.errors.InvalidArgumentError, match=f"a label value of {wrong} "),
        ):
            loss()
    else:
        np.testing.assert_array_equal(np.isnan(loss()), [False, True])


@pytest.mark.parametrize("loss", [losses.softened_kl, losses.softened_binary_kl])
def test_a_class_that_the_teacher_leaves_out_needs_a_finite_logit(loss):
    student, teacher = np.zeros((2, 3)), np.array([[0.0, 1.0, -np.inf], [0.0, 1.0, -1e4]])
    result = np.asarray(loss(student, teacher, temperature=4.0))
    assert np.isnan(result).tolist() == [True, False]


def test_softened_kl_stays_exact_where_clipped_probabilities_would_not():
    # KL of (1, 0) to (e^-40, 1) is 40 nats; probabilities clipped at 1e-7 give 16.1.
    teacher, student = np.array([[40.0, 0.0]]), np.array([[0.0, 40.0]])
    result = losses.softened_kl(student, teacher, temperature=1.0)
    np.testing.assert_allclose(result, [40.0], rtol=1e-6)


def test_agreement_is_one_where_both_rank_the_same_class_first():
    other = np.array([[9.0, 0, 0], [9.0, 0, 0]])
    np.testing.assert_array_equal(losses.agreement(LOGITS, other), [1, 0])


def test_scores_with_a_nan_agree_with_nothing():
    nan_scores = np.array([[np.nan, 0, 0], [9.0, 0, 0]])
    np.testing.assert_array_equal(losses.agreement(nan_scores, nan_scores), [0, 1])


@pytest.mark.parametrize("labels", [[2, 0], [[2], [0]], [[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]])
def test_labels_of_every_form_are_looked_for_among_the_highest_scores(labels):
    scores = np.array([[1.0, 3.0, 2.0], [1.0, 1.0, 1.0]])
    np.testing.assert_array_equal(losses.in_top(np.array(labels), scores, k=1), [0, 1])
    np.testing.assert_array_equal(losses.in_top(np.array(labels), scores, k=2), [1, 1])


def test_a_label_that_is_no_class_is_never_right():
    scores = np.zeros((3, 2))
    np.testing.assert_array_equal(losses.in_top(np.array([-1, 2, 0]), scores, k=2), [0, 0, 1])


MULTI_LABELS = np.array([[1.0, 0, 1], [0, 0, 0]])
MULTI_LOGITS = np.array([[2.0, -1, 0], [0.5, -3, 1]])


def sigmoid(z):
    return 1 / (1 + np.exp(-np.asarray(z, float)))


def test_binary_cross_entropy_is_the_mean_over_classes():
    q = sigmoid(MULTI_LOGITS)
    expected = -np.mean(np.where(MULTI_LABELS == 1, np.log(q), np.log(1 - q)), axis=1)
    result = losses.binary_cross_entropy(MULTI_LABELS, MULTI_LOGITS)
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    smooth = 0.9 * MULTI_LABELS + 0.05
    expected = -np.mean(smooth * np.log(q) + (1 - smooth) * np.log(1 - q), axis=1)
    result = losses.binary_cross_entropy(MULTI_LABELS, MULTI_LOGITS, label_smoothing=0.1)
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_binary_cross_entropy_stays_exact_for_large_logits():
    result = losses.binary_cross_entropy(np.array([[1, 0]]), np.array([[-100.0, -100.0]]))
    np.testing.assert_allclose(result, [50.0], rtol=1e-6)


@pytest.mark.parametrize("labels", [np.array([0, 1]), np.zeros((2, 2))])
def test_binary_cross_entropy_needs_a_value_for_each_class(labels):
    with pytest.raises(ValueError, match="expected a row of 0 and 1 for each example"):
        losses.binary_cross_entropy(labels, MULTI_LOGITS)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_softened_binary_kl_by_the_formula(temperature):
    teacher = np.array([[1.0, -2, 3], [0, 0.5, -0.5]])
    p, q = sigmoid(teacher / temperature), sigmoid(MULTI_LOGITS / temperature)
    terms = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    result = losses.softened_binary_kl(MULTI_LOGITS, teacher, temperature=temperature)
    np.testing.assert_allclose(result, temperature**2 * terms.mean(axis=1), rtol=1e-4)
    zero = losses.softened_binary_kl(teacher, teacher, temperature=temperature)
    np.testing.assert_allclose(zero, [0, 0], atol=1e-6)


def test_softened_binary_kl_of_one_class_is_softened_kl_of_0_and_its_logit():
    student, teacher = np.array([[1.5], [-0.3]]), np.array([[-2.0], [0.7]])
    pairs = [np.concatenate([np.zeros((2, 1)), z], axis=1) for z in (student, teacher)]
    result = losses.softened_binary_kl(student, teacher, temperature=3.0)
    np.testing.assert_allclose(result, losses.softened_kl(*pairs, temperature=3.0), rtol=1e-5)


def test_softened_binary_kl_stays_exact_for_large_logits():
    # KL of certain yes to e^-40 is 40 nats.
    result = losses.softened_binary_kl(np.array([[-40.0]]), np.array([[40.0]]), temperature=1.0)
    np.testing.assert_allclose(result, [40.0], rtol=1e-6)
