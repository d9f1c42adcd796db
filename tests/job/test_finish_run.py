import types

from kd_keras.job import finish_run


def test_a_report_that_fails_is_a_warning(tmp_path, recorder):
    screen, folder = recorder(), types.SimpleNamespace(path=tmp_path)
    finish_run.write_report(folder, data=None, screen=screen)
    (line,) = screen.lines
    assert line.startswith("the report could not be written (FileNotFoundError")
    assert f"`kdk report {tmp_path}` tries again" in line
