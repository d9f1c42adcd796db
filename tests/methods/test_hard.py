import numpy as np

from kd_keras import losses, methods
from kd_keras.methods.hard import hard


def test_equals_the_cross_entropy_by_hand():
    # The teacher chooses class 1; the student gives it 1/4: ln 4 = 1.386294 nats.
    student = np.log(np.array([[3.0, 1.0]], "float32"))
    result = hard(student, np.array([[0.0, 0.1]], "float32"))
    np.testing.assert_allclose(result["loss"], [1.386294], rtol=1e-6)


def test_only_the_teacher_s_decision_counts_and_the_lower_class_wins_a_tie():
    student = np.array([[0.5, -1.0, 2.0]] * 3, "float32")
    teacher = np.array([[0, 0, 1e-3], [0, 0, 1e4], [1, 1, 0]], "float32")
    expected = losses.cross_entropy(np.array([2, 2, 0]), student)
    np.testing.assert_array_equal(hard(student, teacher)["loss"], expected)


def test_scores_that_are_no_numbers_are_no_decision():
    result = hard(np.zeros((2, 2), "float32"), np.array([[np.nan, 1], [0, 1]], "float32"))
    np.testing.assert_array_equal(np.isnan(result["loss"]), [True, False])


def test_needs_no_labels_and_halves_both_terms():
    method = methods.get("hard")
    assert (method.weight, method.ce_weight, method.needs_labels) == (0.5, 0.5, False)
