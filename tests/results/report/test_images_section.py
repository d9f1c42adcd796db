import base64
import io

import numpy as np
import pytest
from PIL import Image

from kd_keras.results.report import images_section


@pytest.mark.parametrize(
    ("shape", "size"), [((8, 8, 1), (64, 64)), ((64, 64, 3), (64, 64)), ((300, 600, 3), (160, 80))]
)
def test_an_image_is_a_png_of_a_size_for_the_page(shape, size):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    head, _, data = images_section.png(image).partition(",")
    assert head == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.size == size
    if shape[0] == 8:
        np.testing.assert_array_equal(np.asarray(picture)[::8, ::8], image[..., 0])


def test_soft_targets_have_the_temperature_of_the_method_and_answers_have_none(finished):
    (pictures,) = images_section.section(finished, is_included=True).elements
    assert "temperature 3," in pictures.caption
    teacher, student = pictures.pictures[0].bars
    row = images_section.samples.load(finished.folder)[0][0]
    for bars, phase, temperature in ((teacher, "teacher", 3.0), (student, "student", 1.0)):
        logits = finished.scores(phase)[row].astype(float) / temperature
        shares = np.sort(np.exp(logits) / np.exp(logits).sum())[::-1][:3]
        np.testing.assert_allclose(list(bars.shares.values()), shares, rtol=1e-5)
