"""Places that cannot be written are known before the work begins."""

import os
from pathlib import Path

import pytest

from kd_keras.job import output_paths


def test_a_folder_that_cannot_be_written_is_known_before(tmp_path):
    output_paths.require_folder(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "a").write_text("")
    for place in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OSError, match=r"a is a file\. That is --out\. Move what is in the way"):
            output_paths.require_folder(place, "--out")
    with pytest.raises(OSError, match="Could not write /proc/a"):
        output_paths.require_folder(Path("/proc/a"))


def test_a_file_that_cannot_be_written_is_known_before(tmp_path):
    file = tmp_path / "rows.csv"
    output_paths.require_file(file, "--out")
    output_paths.require_file(tmp_path / "new" / "rows.csv", "--out")
    assert not list(tmp_path.iterdir())
    file.write_text("1")
    output_paths.require_file(file, "--out")
    assert file.read_text() == "1"
    with pytest.raises(OSError, match=r"^--out is '.*', a folder; expected a file\. Add"):
        output_paths.require_file(tmp_path, "--out")
    with pytest.raises(OSError, match=r"rows\.csv is a file\. That is --out\. Move what"):
        output_paths.require_file(file / "rows.csv", "--out")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe is a pipe, a socket or a device"):
        output_paths.require_file(tmp_path / "pipe", "--out")


@pytest.mark.parametrize("require", [output_paths.require_folder, output_paths.require_file])
def test_names_and_paths_that_are_too_long_are_known_before(tmp_path, require):
    require(tmp_path / ("n" * 200), "--run")
    for path in (
        tmp_path / ("n" * 245),
        tmp_path / ("ä" * 120),
        tmp_path.joinpath(*["n" * 99] * 50),
    ):
        with pytest.raises(OSError, match=r"the path is too long .* a shorter --run\.$"):
            require(path, "--run")
    assert not list(tmp_path.iterdir())
