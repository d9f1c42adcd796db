import numpy as np
import pytest
import tensorflow as tf

from kd_keras.distill.step import label_rules

CLASSES = np.array([0, 4, 2])
ROWS = np.eye(5)[CLASSES]


@pytest.mark.parametrize(
    "good",
    [
        *(CLASSES, CLASSES[:, None], CLASSES.astype("float32"), CLASSES.astype("uint8")),
        *(ROWS, ROWS.astype("bool"), ROWS.astype("uint8"), ROWS * 0.9 + 0.02),
        *(ROWS + 1e-4, np.zeros((0,)), np.zeros((0, 5))),
    ],
)
def test_classes_and_probabilities_of_any_dtype_are_taken(good):
    label_rules.check_form(good.shape, good.dtype, 5)
    label_rules.check_values(good, 5)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((3,), np.dtype("<U3"), r"labels are strings .*; expected \(B,\) or .*StringLookup"),
        ((3,), tf.string, "labels are strings \\(dtype string\\)"),
        ((3,), np.dtype(object), "labels are strings \\(dtype object\\)"),
        (tf.TensorShape(None), tf.int32, "labels have a shape of unknown rank; .*ensure_shape"),
        ((), tf.int32, r"labels have shape \(\); .*dataset\.batch\(32\)"),
        ((3, 2, 2), "float32", r"labels have shape \(3, 2, 2\); expected one tensor"),
        ((None, 4), "float32", "labels have rows of 4 values; expected 5, one for each"),
    ],
)
def test_labels_of_another_form_are_refused_with_what_is_expected(shape, dtype, message):
    with pytest.raises(ValueError, match=message):
        label_rules.check_form(shape, dtype, 5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([0, -1], "labels hold -1; expected whole numbers from 0 to 4"),
        ([0, 5], "labels hold 5; expected whole numbers from 0 to 4, the student's 5 classes"),
        ([[0], [7]], "labels hold 7"),
        ([0.0, 0.5], "labels hold 0.5; expected whole numbers"),
        ([0.0, np.nan], "labels hold nan"),
        ([[1, 0, 1, 0, 0]], "labels have a row that sums to 2; expected rows of 5 probabilities"),
        ([[0.2] * 5, [0.0] * 5], "labels have a row that sums to 0;"),
        ([[3, -2, 0, 0, 0]], "labels hold -2; expected rows of 5 probabilities from 0 to 1"),
        ([[1, -1e-7, 0, 0, 0]], "labels hold -1e-07; expected rows of 5 probabilities"),
        ([[-1] * 5], "labels hold -1; .* If rows of -1 mean .* compile with ignore_class=-1"),
        ([[np.nan] * 5], "labels have a row that sums to nan"),
    ],
)
def test_labels_that_are_no_classes_are_refused_with_the_value(wrong, message):
    with pytest.raises(ValueError, match=message):
        label_rules.check_values(np.array(wrong), 5)


def test_rows_of_weight_0_need_no_probabilities():
    padded = np.concatenate([ROWS, np.zeros((1, 5))])
    label_rules.check_values(padded, 5, sample_weight=np.array([1, 1, 1, 0]))
    with pytest.raises(ValueError, match="sums to 0"):
        label_rules.check_values(padded, 5, sample_weight=np.array([0, 1, 1, 1]))


def test_a_negative_row_is_unknown_with_an_ignored_class_and_no_fault_with_weight_0():
    rows = np.array([[0, 1], [3, -2]], "float32")
    label_rules.check_values(rows, 2, ignore_class=-1)
    label_rules.check_values(rows, 2, sample_weight=np.array([1, 0]))
    with pytest.raises(ValueError, match="labels hold -2"):
        label_rules.check_values(rows, 2, sample_weight=np.array([0, 1]))
    with pytest.raises(ValueError, match="labels hold -2; expected rows of 2 values from 0 to 1"):
        label_rules.check_values(rows[:, ::-1], 2, multi_label=True)


def test_a_row_of_nan_is_no_unknown_label():
    rows = np.array([[np.nan, np.nan], [-1, -1]], "float32")
    label_rules.check_values(rows[1:], num_classes=2, ignore_class=-1)
    with pytest.raises(ValueError, match="nan"):
        label_rules.check_values(rows, num_classes=2, ignore_class=-1)
