import struct

import numpy as np
import pytest
from matplotlib.figure import Figure

from kd_keras.results.plots import curves


def history(epochs, start=0.2):
    steps = np.arange(epochs)
    return {"val_top1": list(start + 0.01 * steps), "ce": list(2.0 - 0.05 * steps)}


@pytest.fixture
def plot(tmp_path, monkeypatch):
    """drawn(histories) gives the figure that is saved."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: figures.append(self) or save(self, *a, **k)
    )

    def of(histories, **knobs):
        curves.plot(histories, tmp_path / "history.png", **knobs)
        return figures[-1]

    return of


def ticks(axes):
    low, high = axes.get_xlim()
    return [tick for tick in axes.get_xticks() if low <= tick <= high]


def test_one_epoch_is_a_marker_on_an_axis_of_whole_epochs_around_the_data(plot):
    figure = plot({"teacher": history(1, 0.3), "student": history(1, 0.2)})
    top1, ce = figure.axes
    for axes in (top1, ce):
        assert ticks(axes) == [1]
        assert all(line.get_marker() not in ("None", "") for line in axes.lines)
    np.testing.assert_allclose(top1.get_ylim(), (19.5, 30.5))  # 20 and 30 %, a margin of 5 %
    np.testing.assert_allclose(ce.get_ylim(), (1.975, 2.025))  # one value: 0.05 nats around it


@pytest.mark.parametrize("epochs", [2, 5, 30])
def test_epochs_are_whole_and_models_of_fewer_epochs_end_early(plot, epochs):
    figure = plot({"teacher": history(epochs), "student": history(1)})
    for axes in figure.axes:
        assert axes.get_xlim() == (0.5, epochs + 0.5)
        assert ticks(axes)
        assert all(tick == int(tick) >= 1 for tick in ticks(axes))
        assert [len(line.get_xdata()) for line in axes.lines] == [epochs, 1]


def test_a_model_keeps_its_colour_and_marker_and_its_name_stands_beside_the_data(plot):
    histories = {"teacher": {"ce": [4.0, 3.0]}, "baseline": history(2)}
    figure = plot(histories, names={"baseline": "student alone"})
    top1, ce = figure.axes
    (alone,) = top1.lines
    for look in ("get_color", "get_marker"):
        assert getattr(alone, look)() == getattr(ce.lines[1], look)()
        assert getattr(alone, look)() != getattr(ce.lines[0], look)()
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {"teacher", "student alone"}
    assert legend.get_window_extent().x0 > ce.get_window_extent().x1
    assert not [axes for axes in figure.axes if axes.get_legend()]


@pytest.mark.filterwarnings("error")
def test_the_plot_is_a_png_of_readable_size_whatever_the_names(tmp_path):
    names = {f"student-{n}": f"resnet8:width=0.5, lskd:temperature={n},weight=9" for n in range(8)}
    curves.plot({phase: history(3) for phase in names}, tmp_path / "history.png", names=names)
    head = (tmp_path / "history.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:])
    assert width == 1500
    assert 570 <= height <= 900
    curves.plot({"student": {}}, tmp_path / "empty.png")
