import inspect
import math

import numpy as np
import pytest

from kd_keras import check


def test_one_of_names_the_nearest_allowed_value():
    assert check.one_of("method", "kd", ["kd", "dkd"]) == "kd"
    with pytest.raises(ValueError, match=r"method is 'fitnt'.*Did you mean 'fitnet'\?"):
        check.one_of("method", "fitnt", ["kd", "fitnet"])


def test_one_of_gives_the_remedy_when_nothing_is_near():
    with pytest.raises(ValueError, match=r"expected one of: a, b\. Run `kdk list`\.$"):
        check.one_of("method", "zzzzz", ["b", "a"], remedy="Run `kdk list`.")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.array(["a", "b"]), r"an array of shape \(2,\)"),
        (np.array(["a"]), r"an array of shape \(1,\)"),
        (["a"], r"\['a'\]"),
        ({"a": 1}, r"\{'a': 1\}"),
        (({"a"},), r"\(\{'a'\},\)"),
    ],
)
def test_one_of_refuses_what_has_no_hash(value, shown):
    with pytest.raises(ValueError, match=rf"^side is {shown}; expected one of: a, b\."):
        check.one_of("side", value, ["a", "b"])


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, "4", True, None])
def test_number_refuses_what_is_no_finite_number_in_range(value):
    with pytest.raises(ValueError, match=r"temperature is .*; expected a finite number > 0\."):
        check.number("temperature", value, above=0)


def test_numpy_s_numbers_are_numbers():
    number, count = check.number("weight", np.float32(0.5)), check.whole_number("n", np.int64(3))
    assert (number, count) == (0.5, 3)
    assert (type(number), type(count)) == (float, int)
    with pytest.raises(ValueError, match=r"weight is np\.True_?; expected a finite number"):
        check.number("weight", np.bool_(True))


def test_text_is_a_name_that_is_not_empty():
    assert check.text("tap", "stage1") == "stage1"
    with pytest.raises(ValueError, match=r"tap is ''; expected a name\. Name a layer\."):
        check.text("tap", "", remedy="Name a layer.")


def test_number_and_whole_number_return_what_fits():
    assert check.number("weight", 2, at_least=0, at_most=2) == 2.0
    assert check.whole_number("epochs", 5, at_least=1) == 5
    with pytest.raises(ValueError, match=r"epochs is 2\.5; expected a whole number >= 1\."):
        check.whole_number("epochs", 2.5, at_least=1)


@pytest.mark.parametrize(
    ("digits", "shown"), [(10, "1" + "0" * 10), (400, "about 1e400"), (5000, "about 1e5000")]
)
def test_whole_numbers_of_many_digits_are_shown_by_their_size(digits, shown):
    with pytest.raises(ValueError, match=rf"^t is {shown}; expected a finite number, from -1e\+09"):
        check.number("t", 10**digits)
    with pytest.raises(ValueError, match=rf"^t is {shown}; expected a whole number >= 0 and <= 9"):
        check.whole_number("t", 10**digits, at_most=9)


@pytest.mark.parametrize("value", [1e308, -1e10, 10**400, 1e-300])
def test_numbers_that_float32_cannot_square_are_refused(value):
    with pytest.raises(ValueError, match=r"^t is .*; expected a finite number"):
        check.number("t", value, **({"above": 0} if 0 < value < 1 else {}))


def test_a_whole_number_has_64_bits_or_the_bound():
    assert check.whole_number("n", 3, at_most=3) == 3
    with pytest.raises(ValueError, match="n is 4; expected a whole number >= 0 and <= 3"):
        check.whole_number("n", 4, at_most=3)
    with pytest.raises(ValueError, match="expected a whole number >= 0"):
        check.whole_number("n", 10**20)


def test_a_message_without_a_remedy_ends_with_what_is_expected():
    with pytest.raises(ValueError, match=r"^n is -1; expected a whole number >= 0\.$"):
        check.whole_number("n", -1)
    with pytest.raises(ValueError, match=r"^t is nan; expected a finite number\.$"):
        check.number("t", math.nan)
    with pytest.raises(ValueError, match=r"^side is 'zzzzz'; expected one of: a, b\.$"):
        check.one_of("side", "zzzzz", ["b", "a"])


def test_a_fault_is_reported_with_a_message():
    assert check.fault(ValueError("x.json is damaged: it is empty")).startswith("x.json is damaged")
    assert check.fault(KeyError("student")) == "it has no 'student'"
    assert check.fault(TypeError("'int' object is not iterable")) == "an entry has another type"


@check.naming_errors
class Named:
    name = "kd"

    def __init__(self, error):
        raise error


def test_an_error_of_a_constructor_begins_with_the_name_once():
    assert list(inspect.signature(Named).parameters) == ["error"]
    for text in ("t is 0", "kd: t is 0"):
        with pytest.raises(ValueError, match=r"^kd: t is 0$"):
            Named(ValueError(text))
    with pytest.raises(TypeError, match=r"^t$"):
        Named(TypeError("t"))
    with pytest.raises(UnicodeDecodeError, match="'utf-8' codec"):
        Named(UnicodeDecodeError("utf-8", b"", 0, 1, "bad"))
