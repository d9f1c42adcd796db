import pytest

from kd_keras.results import phase_names


@pytest.mark.parametrize(
    ("phase", "name"),
    [
        ("teacher", "teacher"),
        ("teacher-2", "teacher 2"),
        ("baseline", "student alone"),
        ("baseline-2", "student alone 2"),
        ("student-1", "student 1"),
    ],
)
def test_a_phase_is_shown_in_words(phase, name):
    assert phase_names.display_name(phase) == name
