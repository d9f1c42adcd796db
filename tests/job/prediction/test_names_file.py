import pytest

from kd_keras.job.prediction import names_file


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cat\ndog\ncat\n", "has the name 'cat' more than once"),
        (b"\n\n", "has 0 names"),
        (b"\xff\xfe\x00c", "is not UTF-8 text"),
    ],
)
def test_a_file_that_holds_no_class_names(tmp_path, content, message):
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        names_file.read(tmp_path / "names.txt")
    with pytest.raises(FileNotFoundError, match=r"class names file .* does not exist"):
        names_file.read(tmp_path / "none.txt")
