import contextlib
import logging
import multiprocessing
import os
import resource
import signal
import time

import numpy as np
import pytest

from kd_keras.data.stores import make_store, store_folder, store_writer


def source(count=4, *, state="one", name="made:up", batches=None, labels=(0, 1), calls=None):
    """`count` black images in batches of two."""

    def contents(folder, progress):
        if calls is not None:
            calls.append(folder)
        data = batches or (
            (np.zeros((2, 8, 8, 3), np.uint8), np.array(labels)) for _ in range(count // 2)
        )
        return store_writer.Contents(
            ["a", "b"], {"train": store_writer.SplitContents(count, iter(data))}
        )

    return make_store.Source(
        name=name,
        kind="made",
        settings={"count": count},
        state=state,
        flip=True,
        val_fraction=0.1,
        contents=contents,
    )


def stores(cache_dir):
    return sorted(path.name for path in cache_dir.iterdir())


def test_a_store_is_made_once_and_says_where_it_comes_from(tmp_path):
    calls = []
    for _ in range(2):
        opened_store = make_store.ensure(source(calls=calls), cache_dir=tmp_path / "new" / "cache")
    assert len(calls) == 1
    assert len(opened_store.splits["train"]) == 4
    (name,) = stores(tmp_path / "new" / "cache")
    assert name.startswith("made_up-8x8-")


def test_a_system_that_opens_no_folders_stores_too(tmp_path, monkeypatch):
    system_open = os.open

    def without_folders(path, *args, **kwargs):
        if os.path.isdir(path):
            raise PermissionError(path)
        return system_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", without_folders)
    assert len(make_store.ensure(source(), cache_dir=tmp_path).splits["train"]) == 4


@pytest.mark.parametrize("place", ["x" * 250, "写" * 80, "Größe"])
def test_a_store_of_any_folder_name_can_be_made_and_found(tmp_path, place):
    calls = []
    for _ in range(2):
        make_store.ensure(source(name=f"made:/tmp/{place}", calls=calls), cache_dir=tmp_path)
    assert len(calls) == 1
    (name,) = stores(tmp_path)
    assert name.startswith(f"made_{place[:50]}")


def test_progress_counts_every_image(tmp_path):
    events = []

    @contextlib.contextmanager
    def progress(what, total):
        events.append((what, total))
        yield events.append

    make_store.ensure(source(), cache_dir=tmp_path, progress=progress)
    assert events == [("Storing made:up", 4), 2, 2]


def failing():
    yield np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 1])
    raise ValueError("image 3 is none")


def test_what_fails_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="image 3 is none"):
        make_store.ensure(source(batches=failing()), cache_dir=tmp_path)
    assert stores(tmp_path) == []


def test_fewer_images_than_announced_is_an_error(tmp_path):
    one = [(np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 1]))]
    with pytest.raises(ValueError, match=r"Got 2 images for train\.images\.npy; expected 4"):
        make_store.ensure(source(batches=one), cache_dir=tmp_path)


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    def killed(folder, progress):
        (folder / "store" / "train.images.npy").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    doomed = source()
    object.__setattr__(doomed, "contents", killed)
    process = multiprocessing.get_context("fork").Process(
        target=make_store.ensure, args=(doomed,), kwargs={"cache_dir": tmp_path}
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert [name.endswith(".partial") for name in stores(tmp_path)] == [True]
    make_store.ensure(source(), cache_dir=tmp_path)
    assert [name.startswith("made_up-8x8-") for name in stores(tmp_path)] == [True]


@pytest.mark.parametrize("verify", [False, True])
def test_a_damaged_store_is_made_again_and_it_is_said(tmp_path, caplog, verify):
    make_store.ensure(source(), cache_dir=tmp_path)
    (folder,) = tmp_path.iterdir()
    path = folder / "train.images.npy"
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(200)
        file.write(b"x")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + (0 if verify else 1)))
    with caplog.at_level(logging.WARNING):
        opened_store = make_store.ensure(source(), cache_dir=tmp_path, verify=verify)
    assert "is not what was written" in caplog.text
    assert "Preparing made:up again" in caplog.text
    assert not opened_store.splits["train"].images.any()
    assert stores(tmp_path) == [folder.name]


def test_changed_data_are_prepared_again_and_it_is_said(tmp_path, caplog):
    before = make_store.ensure(source(), cache_dir=tmp_path)
    after = make_store.ensure(source(state="two", labels=(1, 1)), cache_dir=tmp_path)
    assert "The data behind made:up changed" in caplog.text
    assert after.splits["train"].labels.tolist() == [1, 1, 1, 1]
    assert before.splits["train"].images[3].sum() == 0  # still mapped
    assert before.fingerprint != after.fingerprint
    assert len(stores(tmp_path)) == 1


def test_the_fingerprint_follows_from_content_and_not_from_place(tmp_path):
    here = make_store.ensure(source(name="made:here"), cache_dir=tmp_path)
    there = make_store.ensure(source(name="made:there", state="two"), cache_dir=tmp_path)
    assert len(stores(tmp_path)) == 2
    assert here.fingerprint == there.fingerprint


def _ensure_slowly(cache_dir, makers):
    def contents(folder, progress):
        makers.put(os.getpid())
        time.sleep(0.3)
        return source().contents(folder, progress)

    slow = source()
    object.__setattr__(slow, "contents", contents)
    assert len(make_store.ensure(slow, cache_dir=cache_dir).splits["train"]) == 4


def test_of_two_processes_one_makes_the_store_and_the_other_waits(tmp_path):
    fork = multiprocessing.get_context("fork")
    makers = fork.Queue()
    processes = [fork.Process(target=_ensure_slowly, args=(tmp_path, makers)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    makers.get(timeout=5)
    assert makers.empty()
    assert len(stores(tmp_path)) == 1


def _without_room(cache_dir, message):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        make_store.ensure(source(100), cache_dir=cache_dir)
    except OSError as error:
        message.send(str(error))


def test_a_full_disk_is_reported_with_a_message_and_leaves_nothing(tmp_path):
    fork = multiprocessing.get_context("fork")
    receive, send = fork.Pipe()
    process = fork.Process(target=_without_room, args=(tmp_path, send))
    process.start()
    process.join()
    assert receive.poll(1)
    message = receive.recv()
    assert message.startswith("No room to prepare made:up in ")
    assert message.endswith("to a folder on another disk.")
    assert stores(tmp_path) == []


def test_one_class_is_not_enough(tmp_path):
    alone = source()
    object.__setattr__(
        alone,
        "contents",
        lambda folder, progress: store_writer.Contents(
            ["a"], {"train": store_writer.SplitContents(4, iter([]))}
        ),
    )
    with pytest.raises(ValueError, match=r"has the classes \['a'\]; expected two or more"):
        make_store.ensure(alone, cache_dir=tmp_path)


def test_a_store_of_another_format_is_made_again(tmp_path, monkeypatch, caplog):
    make_store.ensure(source(), cache_dir=tmp_path)
    monkeypatch.setattr(store_folder, "FORMAT", store_folder.FORMAT + 1)
    make_store.ensure(source(), cache_dir=tmp_path)
    assert len(stores(tmp_path)) == 2  # the format is part of the key: older versions keep theirs


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\u2028b", ""])
def test_a_class_name_that_is_no_line_of_text_is_refused(name):
    with pytest.raises(ValueError, match="expected a name without line breaks"):
        make_store.check_names("folder:pets", ["cat", name])
    make_store.check_names("folder:pets", ["cat", "größe 2\xa0m", "猫"])
