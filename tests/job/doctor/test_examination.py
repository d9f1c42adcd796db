import pytest

from kd_keras.job.doctor import examination
from kd_keras.job.doctor.finding import Finding
from kd_keras.results.terminal.screen import Screen

FINE = Finding("Python", "fine", "3.11.7")
MISSING = Finding("extra onnx", "missing", "not installed: onnx", "pip install 'kd-keras[onnx]'")
WRONG = Finding("keras", "wrong", "2.0; expected >=3", "pip install 'keras>=3'")


@pytest.mark.parametrize(
    ("findings", "summary"),
    [
        ([FINE], "kdk train can run here, and nothing is missing."),
        ([FINE, MISSING], "kdk train can run here. Missing, for some commands: extra onnx."),
        ([FINE, MISSING, WRONG], "kdk train cannot run here: fix keras."),
    ],
)
def test_the_last_line_says_whether_training_can_run(capsys, findings, summary):
    examination.show(findings, Screen())
    assert capsys.readouterr().out.splitlines()[-1] == summary


def test_each_line_says_what_is_there_and_what_to_type(capsys):
    examination.show([FINE, MISSING], Screen())
    assert capsys.readouterr().out.splitlines()[:3] == [
        "fine     Python      3.11.7",
        "missing  extra onnx  not installed: onnx",
        "           -> pip install 'kd-keras[onnx]'",
    ]
    examination.show([FINE, MISSING], Screen(quiet=True))
    assert "Python" not in capsys.readouterr().out
