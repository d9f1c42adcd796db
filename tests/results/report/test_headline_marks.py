import types

import pytest

from kd_keras.results.phase_names import BASELINE, STUDENT
from kd_keras.results.report import headline

RUN = types.SimpleNamespace(role={"student": STUDENT, "baseline": BASELINE}.get)


@pytest.mark.parametrize(
    ("low", "high", "p", "mark"),
    [
        (0.02, 0.2, 0.01, "good"),
        (-0.2, -0.02, 0.01, "bad"),
        (-0.02, 0.2, 0.4, "note"),
        (0.02, 0.2, 0.0625, "note"),  # few images: the interval is too narrow
        (-0.2, -0.02, 0.0625, "note"),
    ],
)
def test_a_sentence_is_marked_as_it_says(low, high, p, mark):
    entry = {"phase": "student", "other": "baseline", "low": low, "high": high, "p": p}
    assert headline._text_style(RUN, entry) == mark
