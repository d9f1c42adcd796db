import os
import zipfile

import pytest

from kd_keras.data.tiny_imagenet import archive


def test_folder_and_zip_are_found_wherever_the_data_dir_points(dummy_folder, zipped):
    above = dummy_folder.parent
    assert archive.find(dummy_folder) == archive.find(above) == dummy_folder
    zip_file = zipped(dummy_folder)
    assert archive.find(zip_file) == archive.find(above) == zip_file


def test_folder_and_zip_hold_the_same_files(dummy_folder, zipped):
    with (
        archive.open_archive(dummy_folder) as folder,
        archive.open_archive(zipped(dummy_folder)) as zip_file,
    ):
        assert folder.names == zip_file.names
        assert "val/val_annotations.txt" in folder.names
        for name in folder.names:
            assert folder.read(name) == zip_file.read(name)


def test_a_missing_data_dir_and_one_of_something_else_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none does not exist; expected tiny-imagenet-200"):
        archive.find(tmp_path / "none")
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(FileNotFoundError, match=r"holds holiday\.jpg; expected tiny-imagenet-200"):
        archive.find(tmp_path)


def test_a_zip_cut_short_is_refused(dummy_folder, zipped):
    path = zipped(dummy_folder)
    os.truncate(path, path.stat().st_size - 100)
    message = r"is not a complete zip file .*cut short\. Download it again; .* 248,100,043 bytes"
    with pytest.raises(ValueError, match=message), archive.open_archive(path):
        pass


def test_a_zip_of_a_version_that_there_is_not_is_refused(dummy_folder, zipped):
    path = zipped(dummy_folder)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 6] = 154  # what its first member needs: version 15.4
    path.write_bytes(content)
    message = r"is not a complete zip file \(zip file version 15\.4\).* Download it again"
    with pytest.raises(ValueError, match=message), archive.open_archive(path):
        pass


def test_a_damaged_member_is_named(dummy_folder, zipped):
    path = zipped(dummy_folder)
    name = "tiny-imagenet-200/words.txt"
    with zipfile.ZipFile(path) as opened:
        place = opened.getinfo(name).header_offset + 30 + len(name)
    with path.open("r+b") as file:
        file.seek(place + 20)
        file.write(b"\xff\xff")
    with (
        archive.open_archive(path) as files,
        pytest.raises(ValueError, match=r"tiny-imagenet-200/words\.txt in .* is damaged"),
    ):
        files.read("words.txt")


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/outside.txt", "tiny-imagenet-200/../../outside", "a\\..\\b"]
)
def test_a_member_that_would_leave_its_folder_is_refused(tmp_path, name):
    path = tmp_path / "tiny-imagenet-200.zip"
    with zipfile.ZipFile(path, "w") as archive_file:
        archive_file.writestr(name, b"")
    with (
        pytest.raises(ValueError, match=r"has the member .*, which would be outside its folder"),
        archive.open_archive(path),
    ):
        pass


def test_a_zip_that_would_fill_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "tiny-imagenet-200.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("tiny-imagenet-200/wnids.txt", bytes(archive.MAX_BYTES + 1))
    assert path.stat().st_size < 100_000
    with (
        pytest.raises(ValueError, match=r"wnids\.txt in .* has 16,000,001 bytes; expected at most"),
        archive.open_archive(path),
    ):
        pass
    monkeypatch.setattr(archive, "MAX_BYTES", 10**9)
    monkeypatch.setattr(archive, "MAX_BYTES_OF_ALL", 10**6)
    with (
        pytest.raises(ValueError, match=r"zip, unpacked, has 16,000,001"),
        archive.open_archive(path),
    ):
        pass
