import os

from kd_keras.data import user_files
from kd_keras.data.images import image_files


def names(path):
    return [file.name for file in user_files.list_files(path).files]


def test_files_and_folders_are_listed_by_name(tmp_path):
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "2").write_bytes(b"22")
    (tmp_path / "1").touch()
    listing = user_files.list_files(tmp_path)
    assert [(file.name, file.size) for file in listing.files] == [("1", 0), ("b/c/2", 2)]
    assert listing.folders == ("b", "b/c")
    assert listing.folders_in("") == ["b"]
    assert listing.folders_in("b/c") == []


def test_links_that_lead_in_a_circle_or_nowhere_end(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert user_files.list_files(tmp_path).folders == ("a",)
    assert [(file.name, file.size) for file in user_files.list_files(tmp_path).files] == [
        ("gone", -1),
        ("itself", -1),
    ]


def test_a_link_to_a_folder_around_the_listed_one_is_not_followed(tmp_path):
    data, other = tmp_path / "around" / "data", tmp_path / "around" / "other"
    for folder in (data / "a", other / "b"):
        folder.mkdir(parents=True)
    (data / "up").symlink_to(tmp_path)  # lists everything beside the data, or for "/" never ends
    (data / "beside").symlink_to(other)
    (other / "back").symlink_to(tmp_path / "around")
    assert user_files.list_files(data).folders == ("a", "beside", "beside/b")


def test_a_name_that_is_no_text_is_a_name(tmp_path):
    name = os.fsdecode(b"\xff.png")
    (tmp_path / name).touch()
    assert names(tmp_path) == [name]
    assert user_files.state(tmp_path) != user_files.state(tmp_path / name)


def test_the_state_follows_names_sizes_and_times_and_the_digest_content(tmp_path):
    file = tmp_path / "a" / "1"
    file.parent.mkdir()
    file.write_bytes(b"one")
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    state, digest = user_files.state(tmp_path), user_files.digest(tmp_path)
    file.write_bytes(b"two")
    os.utime(file, ns=times)
    assert user_files.state(tmp_path) == state
    assert user_files.digest(tmp_path) != digest
    file.write_bytes(b"one")
    os.utime(file, ns=(times[0], times[1] + 1))
    assert user_files.state(tmp_path) != state
    assert user_files.digest(tmp_path) == digest
    os.utime(file, ns=times)
    assert user_files.state(tmp_path) == state
    (tmp_path / "empty").mkdir()
    assert user_files.state(tmp_path) != state


def test_a_pipe_among_images_is_listed_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "a.png").write_bytes(b"a")
    listed = user_files.list_files(tmp_path)
    assert [(file.name, file.size) for file in listed.files] == [("a.png", 1), ("pipe.png", -1)]
    user_files.digest(tmp_path)
    header = image_files.read_headers([f"{tmp_path}/pipe.png"])[0]
    assert header.reason == image_files.NOT_REGULAR
