import pytest
from matplotlib.figure import Figure

from kd_keras.results.page import drawing


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.0123"), (1.234, "1.23"), (123.4, "123"), (1234567.0, "1,234,567")],
)
def test_a_number_has_three_digits_and_no_exponent(value, text):
    assert drawing.digits(value) == text


def test_names_break_after_commas_and_long_ones_are_cut():
    assert drawing.wrapped("resnet8,kd:weight=0.9,x=1", 20) == "resnet8,\nkd:weight=0.9, x=1"
    assert drawing.wrapped("unbreakable" * 3, 10) == "unbreakable" * 3
    assert drawing.shortened("abcdef", 6) == "abcdef"
    assert drawing.shortened("abcdefg", 6) == "abcde…"


@pytest.mark.parametrize(("names", "columns"), [(["a", "b", "c"], 3), (["a" * 40, "b"], 1)])
def test_a_legend_has_as_many_columns_as_fit(names, columns):
    axes = Figure(figsize=(4.5, 3.1), layout="constrained").subplots()
    for name in names:
        axes.plot([0, 1], label=name)
    drawing.legend_above(axes)
    (legend,) = axes.figure.legends
    assert legend._ncols == columns


def test_one_epoch_has_one_whole_tick():
    axes = Figure().subplots()
    drawing.whole_epochs(axes, 1)
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
