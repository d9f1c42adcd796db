import numpy as np
import pytest

from kd_keras.job.prediction import class_order


def test_outputs_are_matched_by_name():
    columns = class_order.columns(("b", "c", "a"), ("a", "b", "c"), num_outputs=3, source="m.keras")
    scores = np.array([[10, 20, 30]])  # of b, c, a
    assert scores[:, columns].tolist() == [[30, 10, 20]]


@pytest.mark.parametrize("names", [None, ("a", "b")])
def test_nothing_changes_in_the_same_order_or_without_names(names):
    assert class_order.columns(names, ("a", "b"), num_outputs=2, source="m.keras") is None


def test_another_number_of_classes_is_refused_with_both():
    message = r"m.keras has 3 classes \(a, b, c\), and the dataset has 2 \(cat, dog\); expected"
    with pytest.raises(ValueError, match=message):
        class_order.columns(("a", "b", "c"), ("cat", "dog"), num_outputs=3, source="m.keras")
    with pytest.raises(ValueError, match=r"m\.keras has 1000 classes, and the dataset has 2"):
        class_order.columns(None, ("cat", "dog"), num_outputs=1000, source="m.keras")


def test_other_names_are_refused():
    message = "has the classes horse, which the dataset does not have, and the dataset has cow"
    with pytest.raises(ValueError, match=message):
        class_order.columns(("dog", "horse"), ("cow", "dog"), num_outputs=2, source="m.keras")
