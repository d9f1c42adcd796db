import shutil
import types

import pytest

from kd_keras.job import finish_run
from kd_keras.job.recipe import recipe_files
from kd_keras.job.run_folders import run_folder


def test_a_report_that_fails_is_a_warning(tmp_path, recorder):
    screen, folder = recorder(), types.SimpleNamespace(path=tmp_path)
    finish_run.write_report(folder, data=None, screen=screen)
    (line,) = screen.lines
    assert line.startswith("the report could not be written (FileNotFoundError")
    assert f"`kdk report {tmp_path}` tries again" in line


def test_nothing_is_written_for_a_folder_that_was_removed_under_the_run(tmp_path):
    folder = run_folder.RunFolder(recipe_files.Recipe(dataset="digits"), str(tmp_path / "run"))
    folder.start({})
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="was removed while the run was writing into it"):
        finish_run.write({}, folder.recipe, folder)
    assert not list(tmp_path.iterdir())
