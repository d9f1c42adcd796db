import json
import os
import shutil
import time

import numpy as np
import pytest

from kd_keras import data, files
from kd_keras.job.cache import cache_folder
from kd_keras.results.terminal.screen import Screen
from kd_keras.teacher_cache import file_format, part_files
from kd_keras.teacher_cache.file_format import Header

DAY = 86_400


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder with a real store of digits, which no process has open."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("KD_KERAS_CACHE", str(folder))
    fingerprint = data.load("digits").store_fingerprint
    _teacher(folder, "usable", fingerprint + "-val0.2.0", parts=1)
    _teacher(folder, "begun", fingerprint, parts=0)
    _teacher(folder, "stale", "gone", parts=1)
    (folder / "scores").mkdir()
    for name in (f"teacher-{fingerprint}-val0.2.0-float32", "teacher-gone-float32"):
        np.save(folder / "scores" / f"{name}.npy", np.zeros((4, 2)))
    (folder / "teachers" / ".partial.ids.npy").write_bytes(b"half")
    for path in folder.rglob("*"):
        _age(path, days=3)
    return folder


def _teacher(folder, name, fingerprint, *, parts):
    header = Header(
        teacher=f"{name}-teacher", data=fingerprint, augment={}, view_seed=0, views=1, examples=4,
        outputs={"logits": (2,)},
    )  # fmt: skip
    cache = folder / "teachers" / name
    cache.mkdir(parents=True)
    file_format.write_header(cache, header, np.arange(4))
    for part in range(parts):
        part_files.write_part(cache, 0, part, {"logits": np.zeros((4, 2), np.float16)})


def _age(path, *, days):
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def by_name(entries):
    return {entry.path.name: entry for entry in entries}


def test_each_entry_says_what_it_is_and_whether_something_needs_it(folder):
    entries = by_name(cache_folder.entries())
    store = next(entry for entry in entries.values() if entry.kind == "store")
    assert (store.about, store.state) == ("digits, 1,797 of 8x8x1", "usable")
    assert store.bytes == sum(file.stat().st_size for file in store.path.iterdir())
    assert store.days == pytest.approx(3, abs=0.1)
    states = {
        name: (entries[name].state, entries[name].reason) for name in ("usable", "begun", "stale")
    }
    assert states["usable"] == ("usable", "")
    assert states["begun"] == ("unfinished", "0 of 1 parts; `kdk cache` or the run continues it")
    assert states["stale"] == ("stale", "the store of its images is gone")
    assert entries["usable"].about == "usable-teach, 1 views of 4 images"
    assert [e.state for e in entries.values() if e.kind == "scores"] == ["usable", "stale"]
    assert entries[".partial.ids.npy"].kind == "left over"


def test_a_store_whose_images_are_gone_is_stale(folder, tmp_path):
    (store,) = [entry.path for entry in cache_folder.entries() if entry.kind == "store"]
    header = json.loads((store / "header.json").read_text())
    source = f"folder:{tmp_path / 'pets'}"
    (store / "header.json").write_text(json.dumps(header | {"source": source}))
    (entry,) = [entry for entry in cache_folder.entries() if entry.kind == "store"]
    assert (entry.state, entry.reason) == ("stale", "its images are gone")
    (tmp_path / "pets").mkdir()
    (entry,) = [entry for entry in cache_folder.entries() if entry.kind == "store"]
    assert entry.state == "usable"


def test_prune_removes_stale_and_unfinished_entries_and_old_ones_only_if_asked(folder):
    chosen = cache_folder.removable(cache_folder.entries())
    names = {entry.path.name for entry in chosen}
    assert names == {"begun", "stale", "teacher-gone-float32.npy", ".partial.ids.npy"}
    assert cache_folder.prune(chosen) == chosen
    entries = cache_folder.entries()
    assert {entry.state for entry in entries} == {"usable"}
    assert cache_folder.removable(entries) == cache_folder.removable(entries, older_than=4) == []
    assert cache_folder.removable(entries, older_than=2) == entries


def test_what_is_in_use_stays(folder):
    begun = folder / "teachers" / "begun"
    with files.locked(begun):
        assert by_name(cache_folder.entries())["begun"].in_use
        chosen = [by_name(cache_folder.entries())["begun"]]
        assert cache_folder.removable(chosen) == []
        assert cache_folder.prune(chosen) == []  # locked since it was chosen
    _age(begun / "ids.npy", days=0)  # another process may be making it
    assert by_name(cache_folder.entries())["begun"].in_use
    rows = np.load(folder / "teachers/stale/view0000.part0000.logits.npy", mmap_mode="r")
    assert by_name(cache_folder.entries())["stale"].in_use == os.path.exists("/proc/self/maps")
    del rows
    with files.locked(folder), pytest.raises(ValueError, match="another process prepares data"):
        cache_folder.prune(chosen)


def test_nothing_outside_the_folder_is_listed_or_removed(folder, tmp_path):
    outside = shutil.copytree(folder / "teachers" / "stale", tmp_path / "outside")
    (folder / "teachers" / "link").symlink_to(outside)
    (folder / "notes.txt").write_text("mine")
    names = by_name(cache_folder.entries())
    assert "link" not in names
    assert "notes.txt" not in names
    entry = names["stale"]
    for path in (outside, folder / "teachers" / "link", folder / ".." / "outside", folder):
        wrong = cache_folder.Entry(**{**vars(entry), "path": path})
        with pytest.raises(ValueError, match=r"not in the cache folder .* Nothing was removed"):
            cache_folder.prune([entry, wrong])
    assert outside.is_dir()
    assert entry.path.is_dir()


def test_the_table_has_80_columns_and_says_the_reasons(folder, monkeypatch, capsys):
    cache_folder.show(cache_folder.entries(), Screen(), title="Cache")
    out = capsys.readouterr().out
    assert "scores: of teacher teacher" in out
    assert "stale: the store of its images is gone\n" in out
    assert cache_folder.entries(folder / "nowhere") == []
