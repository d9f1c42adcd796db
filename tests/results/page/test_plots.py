import itertools

import numpy as np
import pytest
from PIL import Image

from kd_keras.results.page import plots


@pytest.fixture(scope="module")
def folder_and_plot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots")

    def paint(figure):
        axes = figure.subplots()
        for index in range(3):
            look = plots.look(index)
            axes.bar(index, 1 + index, color=look.color, hatch=look.hatch)
        axes.set_title("Bars")

    columns, rows = ["model", "top1"], [["a, b", 0.5], ["c", None]]
    plot = plots.plot("bars", paint, caption="c", columns=columns, rows=rows, folder=folder)
    return folder, plot


def test_numbers_are_a_csv(folder_and_plot):
    folder, _ = folder_and_plot
    assert (folder / "bars.csv").read_text() == 'model,top1\n"a, b",0.5\nc,\n'


def test_the_png_is_opaque_and_in_colour(folder_and_plot):
    folder, _ = folder_and_plot
    pixels = np.asarray(Image.open(folder / "bars.png").convert("RGBA"))
    assert pixels[..., 3].min() == 255
    assert (pixels[..., :3] == [0, 114, 178]).all(axis=-1).any()


def test_letters_stay_text_in_the_font_of_the_page(folder_and_plot):
    _, plot = folder_and_plot
    assert ">Bars</text>" in plot.svg
    assert "DejaVu" not in plot.svg
    assert "<style" not in plot.svg
    assert "#0072b2" not in plot.svg


def test_looks_differ_in_more_than_colour():
    marks = [
        {(look.marker, look.line, look.hatch) for look in map(plots.look, pair)}
        for pair in itertools.combinations(range(7), 2)
    ]
    assert all(len(pair) == 2 for pair in marks)
    assert plots.look(7) == plots.look(0)
