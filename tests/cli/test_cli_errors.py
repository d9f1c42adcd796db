import io

from kd_keras.cli import errors

PATH = "/a-long/path-with-hyphens/" + "x" * 40


def test_a_message_stays_one_line_in_a_file(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert errors.wrapped("kdk: " + "word " * 100) == "kdk: " + "word " * 100


def test_a_message_is_wrapped_in_a_terminal_with_paths_whole(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("COLUMNS", "30")
    lines = errors.wrapped(f"kdk: the data are not in {PATH}; give --data-dir FOLDER.").splitlines()
    assert f"  {PATH};" in lines
    assert all(len(line) <= 30 for line in lines if PATH not in line)
    assert lines[0].startswith("kdk: the data")
