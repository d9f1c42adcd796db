"""Caches made by real processes: killed, out of space, at the same time, and damaged after."""

import functools
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest
from click.testing import CliRunner

from kd_keras import models
from kd_keras.cli import kdk
from kd_keras.teacher_cache import writer
from kd_keras.teacher_cache.reader import Cache

pytestmark = pytest.mark.slow
VIEWS = 12  # of digits, each one part: 1,438 images are under 8,192


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A place with a teacher's file, and the environment of what runs there."""
    folder = tmp_path_factory.mktemp("made")
    model = models.get("plain_cnn4", num_classes=10, input_shape=(8, 8, 1))
    model.save(folder / "teacher.keras")
    settings = {"KD_KERAS_CACHE": str(folder / "stores"), "CUDA_VISIBLE_DEVICES": ""}
    return types.SimpleNamespace(folder=folder, environment={**os.environ, **settings})


def command(base, out, *more, views=VIEWS):
    options = ["--recipe", "quickstart", "--teacher", str(base.folder / "teacher.keras")]
    options += ["--precision", "float32", "--cache-dtype", "float32"]
    return ["cache", *options, "--views", str(views), "--out", str(out), *more]


@pytest.fixture
def started(base):
    """Starts `kdk cache` as a process of its own, which does not outlive the test."""
    running = []

    def start(out, *more, views=VIEWS, file_size=None):
        limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (file_size,) * 2)
        process = subprocess.Popen(
            [sys.executable, "-m", "kd_keras.cli", *command(base, out, *more, views=views)],
            env=base.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=limit if file_size else None,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def call(base):
    """Runs `kdk cache` in this process."""
    return lambda out, *more, views=VIEWS: CliRunner().invoke(
        kdk, command(base, out, *more, views=views), env=base.environment
    )


@pytest.fixture(scope="module")
def full_cache(base):
    """A cache of all views that was made in one go, its parts by name."""
    out = base.folder / "whole"
    result = CliRunner().invoke(kdk, command(base, out), env=base.environment)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
def copy(full_cache, tmp_path):
    """A copy of one view of it that a test may damage."""
    keep = shutil.ignore_patterns(*(f"view{view:04d}*" for view in range(1, VIEWS)))
    folder = shutil.copytree(full_cache, tmp_path / "copy", ignore=keep)
    header = json.loads((folder / "header.json").read_text())
    (folder / "header.json").write_text(json.dumps({**header, "views": 1}))
    return folder


def parts(folder):
    return sorted(path.name for path in folder.glob("view*.json"))


def facts(folder, names):
    """What changes when a file is written again."""
    statuses = {path: path.stat() for name in names for path in folder.glob(f"{name[:-5]}.*")}
    return {path.name: (status.st_ino, status.st_mtime_ns) for path, status in statuses.items()}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_killed_maker_continues_and_writes_the_same_cache(started, call, full_cache, tmp_path):
    out = tmp_path / "killed"
    process = started(out)
    until = time.monotonic() + 120
    while len(parts(out)) < 2 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -9, process.stderr.read()
    finished = parts(out)
    assert 2 <= len(finished) < VIEWS
    before = facts(out, finished)
    assert len(before) == 2 * len(finished)  # rows and their .json
    # As if it had been killed in the middle of the next part: rows truncated, before their .json.
    rows = out / f"view{len(finished):04d}.part0000.logits.npy"
    leftover = out / f".partial.{rows.name}.a1b2c3d4"
    leftover.mkdir()
    for half in (rows, leftover / rows.name):
        half.write_bytes((full_cache / rows.name).read_bytes()[:999])
    # And once between the rename of a finished part's .json and the removal of its folder.
    (out / ".partial.view0000.part0000.json.e5f6a7b8").mkdir(exist_ok=True)
    result = call(out)
    assert result.exit_code == 0, result.output
    assert facts(out, finished) == before
    assert contents(out) == contents(full_cache)


def test_a_full_disk_leaves_what_is_finished_and_is_reported_in_a_line(
    started, call, full_cache, tmp_path
):
    out = tmp_path / "full"
    assert call(out, views=1).exit_code == 0
    finished = parts(out)
    before = facts(out, finished)
    # 57,648 bytes are a part; the header and the numbers of the images fit.
    process = started(out, views=3, file_size=20_000)
    _, outputs = process.communicate(timeout=120)
    assert process.returncode == 2, outputs
    (line,) = outputs.strip().splitlines()
    assert line.startswith(f"kdk: Could not write {out / 'view0001.part0000.logits.npy'}: ")
    assert "File too large. Free space on that disk, or choose a folder elsewhere" in line
    assert parts(out) == finished
    files = {"header.json", "ids.npy", *before}
    assert {path.name for path in out.iterdir()} == files
    with pytest.raises(ValueError, match=r"part 0 of view 1 in .*full is not finished"):
        Cache(out)
    result = call(out, views=3)
    assert result.exit_code == 0, result.output
    assert "complete, every part's hash checked" in result.output
    assert facts(out, finished) == before
    for name, content in contents(out).items():
        assert name == "header.json" or content == (full_cache / name).read_bytes()


def test_two_makers_at_once_give_what_one_gives(started, full_cache, tmp_path):
    out = tmp_path / "shared"
    makers = [started(out, "--shard", f"{i}/2") for i in (0, 1)]
    outputs = [maker.communicate(timeout=120) for maker in makers]
    assert [maker.returncode for maker in makers] == [0, 0], outputs
    assert all(f", part {i} of 2" in outputs[i][0] for i in (0, 1))
    assert contents(out) == contents(full_cache)


def test_makers_that_start_in_the_same_moment_do_not_disturb_each_other(
    tmp_path, example, header_of
):
    expected = tmp_path / "expected"
    writer.make(expected, header_of(), example.split, example.ask)
    for attempt in range(10):
        out, failed, together = tmp_path / str(attempt), [], threading.Barrier(4)

        def make(out=out, failed=failed, together=together):
            together.wait()
            try:
                # All of them make all parts.
                writer.make(out, header_of(), example.split, example.ask)
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert contents(out) == contents(expected)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def newer(path):
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2, "coding": "zip"}))


ROWS, PART = "view0000.part0000.logits.npy", "view0000.part0000.json"


@pytest.mark.parametrize(
    ("name", "harm", "message", "remedy"),
    [
        (ROWS, flip, "its SHA-256 differs", f"Remove {PART} and run `kdk cache` again"),
        (ROWS, cut, "is missing or truncated", f"Remove {PART} and run `kdk cache` again"),
        (PART, cut, f"{PART} is damaged", f"Remove {PART} and run `kdk cache` again"),
        ("ids.npy", cut, "ids.npy holds nothing that can be read", "Remove the folder and make"),
        ("ids.npy", flip, "the one in header.json", "Remove the folder and make"),
        ("header.json", cut, "is not a header of a teacher cache", "Remove the folder and make"),
        ("header.json", newer, "has format 2; expected at most 1", "remove the folder and make"),
    ],
)
def test_what_is_damaged_is_refused_and_the_remedy_helps(
    call, copy, full_cache, name, harm, message, remedy
):
    harm(copy / name)
    result = call(copy, views=1)
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("kdk: ")
    assert message in line
    assert remedy in line
    if "folder" in remedy:
        shutil.rmtree(copy)
    else:
        (copy / PART).unlink()
    again = call(copy, "--verify", views=1)
    assert again.exit_code == 0, again.output
    assert "verified: a sample computed again" in again.output
    np.testing.assert_array_equal(np.load(copy / ROWS), np.load(full_cache / ROWS))
    assert not list(copy.glob(".*"))


def test_a_cache_of_another_form_is_not_taken_for_what_was_asked(call, copy):
    for changes, words in (
        (("--cache-dtype", "float16"), "a different dtype"),
        (("--top-k", "3"), "a different top_k"),
        (("--taps", "pooled"), "a different set of outputs"),
        (("--view-seed", "1"), "a different view seed"),
    ):
        result = call(copy, *changes, views=1)
        assert result.exit_code == 2
        assert f"holds a cache made with {words}. Choose another folder" in result.stderr
