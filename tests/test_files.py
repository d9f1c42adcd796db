import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kd_keras import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(target, error):
    with files.atomic_write(target) as new_path:
        assert not new_path.exists()
        new_path.write_text("half")
        raise error


def test_a_file_takes_its_place_when_the_block_ends(tmp_path):
    target = tmp_path / "deep" / "a.json"
    with files.atomic_write(target) as new_path:
        assert new_path.suffix == ".json"
        new_path.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["a.json"]


def test_a_folder_replaces_one_that_holds_other_files(tmp_path):
    target = tmp_path / "model"
    (target / "inner").mkdir(parents=True)
    (target / "inner" / "old").write_text("old")
    with files.atomic_write(target) as new_path:
        new_path.mkdir()
        (new_path / "new").write_text("new")
    assert names(target) == ["new"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt()])
def test_an_error_passes_through_and_leaves_what_was_there(tmp_path, error):
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(type(error)):
        write_half(target, error)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_files_of_a_killed_run_are_removed_and_a_folder_that_it_moved_is_restored(tmp_path):
    leftover = tmp_path / ".partial.model.a1_b2_c3"
    (leftover / "model").mkdir(parents=True)
    (leftover / ".replaced").mkdir()
    (leftover / ".replaced" / "earlier").write_text("")
    other = tmp_path / ".partial.model.json.a1_b2_c3"  # of another target
    other.mkdir()
    with pytest.raises(RuntimeError):
        write_half(tmp_path / "model", RuntimeError("stop"))
    assert names(tmp_path) == [other.name, "model"]
    assert names(tmp_path / "model") == ["earlier"]


def make_folder(path, text):
    path.mkdir()
    (path / text).write_text("")


@pytest.mark.parametrize("make", [Path.write_text, make_folder], ids=["file", "folder"])
def test_two_writers_of_one_target_do_not_disturb_each_other(tmp_path, make):
    target, expected = tmp_path / "target", tmp_path / "expected"
    make(expected, "one")
    with files.atomic_write(target) as one:
        make(one, "one")
        with files.atomic_write(target) as two:
            make(two, "two")
    assert files.sha256(target) == files.sha256(expected)
    assert names(tmp_path) == ["expected", "target"]
    assert target.is_file() or names(target) == ["one"]


def test_a_failed_rename_puts_the_earlier_folder_back(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("old")
    with (
        pytest.raises(OSError, match=r"No such file.*The earlier model stays as it was\."),
        files.atomic_write(target),
    ):
        pass  # writes nothing, so that the last rename fails
    assert names(target) == ["old"]
    assert names(tmp_path) == ["model"]


def test_a_place_that_cannot_be_written_is_reported_with_a_message(tmp_path):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "a.json"
    message = rf"Could not write {re.escape(str(target))}: .*Move what is in the way, or"
    with pytest.raises(OSError, match=message), files.atomic_write(target) as new_path:
        os.stat(new_path)


def test_a_system_without_fcntl_prepares_data_without_a_lock(tmp_path):
    code = (
        "import sys\n"
        "sys.modules['fcntl'] = None\n"  # as on Windows: importing it raises ImportError
        "from pathlib import Path\n"
        "from kd_keras import files\n"
        "with files.locked(Path(sys.argv[1]) / 'stores'):\n"
        "    print('inside')"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.stdout, names(tmp_path)) == ("inside\n", ["stores"]), result.stderr


def test_a_number_that_json_does_not_have_is_named_with_its_place(tmp_path):
    data = {"history": {"loss": [1.0, np.float32(2.0), np.inf]}, "top1": 0.5}
    message = r"run\.json was not written: history\.loss\[2\] is inf; expected finite numbers"
    with pytest.raises(ValueError, match=message):
        files.write_json(tmp_path / "run.json", data)
    assert not (tmp_path / "run.json").exists()
    with pytest.raises(ValueError, match=r"scores\[1\] is nan"):
        files.write_json(tmp_path / "run.json", {"scores": np.array([0.0, np.nan])})


def test_the_size_of_a_folder_is_that_of_all_files_in_it(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"123")
    (tmp_path / "a" / "b" / "two").write_bytes(b"4567")
    assert files.size(tmp_path / "a") == 7
    assert files.size(str(tmp_path / "a" / "one")) == 3
    assert files.size(tmp_path / "nothing") == 0


def test_plain_values_are_those_of_json(tmp_path):
    value = {1: (np.float32(0.5), np.arange(2)), "path": tmp_path, "none": None}
    assert files.plain(value) == {"1": [0.5, [0, 1]], "path": str(tmp_path), "none": None}


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free space on that disk"),
        (errno.EROFS, "Allow writing there"),
        (errno.EIO, "Choose a folder elsewhere"),
    ],
)
def test_the_remedy_follows_from_the_cause(tmp_path, number, remedy):
    with (
        pytest.raises(OSError, match=rf"a\.json: {os.strerror(number)}\. {remedy}"),
        files.atomic_write(tmp_path / "a.json"),
    ):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "it is empty"),
        ("[]", "it holds list"),
        ('{"a": 1', "Expecting"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("\xff", "codec can't decode"),
    ],
)
def test_json_that_holds_no_object_is_named(tmp_path, content, fault):
    path = tmp_path / "a.json"
    path.write_text(content, encoding="latin1")
    with pytest.raises(ValueError, match=rf"a\.json is damaged: .*{fault}.*Remove it\."):
        files.read_json(path, remedy="Remove it.")


def test_a_pipe_is_refused_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read_file in (files.read_json, files.sha256):
        with pytest.raises(OSError, match="pipe is a pipe, a socket or a device"):
            read_file(tmp_path / "pipe")


def test_a_file_never_replaces_a_folder_or_a_pipe(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("1")
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("folder", "Is a directory"), ("pipe", "pipe is a pipe, a socket or a")):
        with (
            pytest.raises(OSError, match=rf"^Could not write .*{name}: .*{message}"),
            files.atomic_write(tmp_path / name) as new_path,
        ):
            new_path.write_text("2")
    assert (tmp_path / "folder" / "mine").read_text() == "1"
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_an_array_that_cannot_be_read_says_so_in_our_words(tmp_path):
    np.save(tmp_path / "numbers.npy", np.arange(3))
    assert files.load_array(tmp_path / "numbers.npy").tolist() == [0, 1, 2]
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "empty.npy").touch()
    for name, message in (
        ("objects", "^it holds Python objects, or it is not a file of numpy.save$"),
        ("text", "^it holds Python objects, or it is not a file of numpy.save$"),
        ("empty", "No data left in file"),
        ("missing", "No such file"),
    ):
        with pytest.raises(ValueError, match=message):
            files.load_array(tmp_path / f"{name}.npy")


def test_the_hash_of_a_folder_tells_names_and_where_a_file_ends(tmp_path):
    hashes = set()
    for number, parts in enumerate(
        [{"a": "1", "b": "23"}, {"a": "12", "b": "3"}, {"a": "1", "c": "23"}]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, text in parts.items():
            (folder / name).write_text(text)
        hashes.add(files.sha256(folder))
    assert len(hashes) == 3
