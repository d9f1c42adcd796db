import shutil

import pytest

from kd_keras.results.report import finished_run


def test_the_student_of_the_report_is_the_most_accurate_one(make_run, tmp_path):
    phases = {"baseline": ("baseline", 1), "student-1": ("student", 1), "student-2": ("student", 3)}
    run = finished_run.read(make_run(tmp_path / "run", phases))
    assert (run.student, run.alone, run.teacher) == ("student-2", "baseline", None)


def test_teacher_student_alone_and_student_look_alike_in_every_run(make_run, finished, tmp_path):
    phases = {
        "teacher": ("teacher", 4),
        "generation-1": ("generation", 2),
        "student": ("student", 3),
    }
    other = finished_run.read(make_run(tmp_path / "run", phases))
    assert other.look("student") == finished.look("student")
    assert other.look("teacher") == finished.look("teacher")
    assert other.look("generation-1") not in map(finished.look, finished.phases)


def test_a_folder_that_is_no_run_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist.*kdk runs"):
        finished_run.read(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"has no recipe\.json; expected the name or path"):
        finished_run.read(tmp_path)


def test_an_unfinished_run_is_reported_with_the_command_that_continues_it(run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / "results.json").unlink()
    with pytest.raises(ValueError, match=rf"not finished.*kdk train --recipe {folder} --run"):
        finished_run.read(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"student": {"top1": 1}}'])
def test_a_damaged_run_is_reported(run_folder, tmp_path, text):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / "results.json").write_text(text)
    with pytest.raises(ValueError, match=r"is damaged .* Restore them"):
        finished_run.read(folder)
