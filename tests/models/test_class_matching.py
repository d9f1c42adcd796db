import pytest

from kd_keras.models import class_matching


@pytest.mark.parametrize(
    "spelling", ["Egyptian_cat", "egyptian cat", " EGYPTIAN  CAT", "egyptian-cat"]
)
def test_spellings_of_one_name_are_one_name(spelling):
    assert class_matching.normalised(spelling) == "egyptian cat"
    assert class_matching.class_order(["tench", "Egyptian Cat"], [spelling], 2) == [1]


def test_a_name_that_is_spelled_the_same_comes_before_one_that_is_alike():
    assert class_matching.class_order(["crane", "Crane"], ["Crane", "crane"], 2) == [1, 0]


def test_what_is_renamed_and_dropped_is_reported():
    teacher_names = ["tench", "Egyptian cat", "goldfish"]
    renamed, dropped = class_matching.describe(teacher_names, ["egyptian_cat", "goldfish"])
    assert renamed == "teacher's classes under other names: Egyptian cat = egyptian_cat"
    assert dropped.startswith("2 of the teacher's 3 classes are ours; its scores of the other 1")
    assert "(tench)" in dropped
    assert class_matching.describe(["a", "b"], ["b", "a"]) == []
    many = [f"class {number}" for number in range(1000)]
    (line,) = class_matching.describe(many, many[:200])
    assert "200 of the teacher's 1,000 classes are ours" in line
    assert "class 207, and 792 more" in line


@pytest.mark.parametrize(
    ("teacher_names", "class_names", "message"),
    [
        (["A b", "a_b"], ["a b"], "classes 'A b' and 'a_b' are both our 'a b', without case"),
        (["a b", "c"], ["A B", "a_b"], "our classes 'A B' and 'a_b' are both the teacher's 'a b'"),
        (["a", "b"], ["a", "bee"], "lack 1 of our 2, such as 'bee'"),
    ],
)
def test_names_that_do_not_decide_are_refused(teacher_names, class_names, message):
    with pytest.raises(ValueError, match=message):
        class_matching.class_order(teacher_names, class_names, len(teacher_names))
