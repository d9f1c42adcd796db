from pathlib import Path

import pytest

from kd_keras.results.terminal import paths


def test_the_home_folder_is_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.short_path(tmp_path / "a" / "b") == "~/a/b"
    assert paths.short_path(f"{tmp_path}ly") == f"{tmp_path}ly"
    assert paths.short_path(Path("runs")) == "runs"


def test_a_folder_is_shown_with_the_size_of_all_its_files(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "store" / "deep").mkdir(parents=True)
    (tmp_path / "store" / "a").write_bytes(bytes(12_000_000))
    (tmp_path / "store" / "deep" / "b").write_bytes(bytes(500_000))
    assert paths.short_path_with_size(tmp_path / "store") == "~/store (12 MB)"


@pytest.mark.parametrize(
    ("count", "text"), [(1_234_000_000, "1,234 MB"), (250_000, "0.25 MB"), (0, "0 MB")]
)
def test_bytes_are_shown_in_megabytes(count, text):
    assert paths.megabytes(count) == text
