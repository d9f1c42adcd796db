"""`kdk predict` on real files: rows, faults, exit codes."""

import csv
import io
import json

import pytest
from click.testing import CliRunner

from kd_keras.cli import kdk

NAMES = "v\nw\nx\ny\nz\n"


@pytest.fixture(scope="module")
def student(net, tmp_path_factory):
    """A model file, and a file with the names of its classes."""
    folder = tmp_path_factory.mktemp("model")
    net("student").save(folder / "student.keras")
    (folder / "names.txt").write_text(NAMES)
    return [str(folder / "student.keras"), "--class-names", str(folder / "names.txt")]


def predict(*words, **options):
    return CliRunner().invoke(kdk, ["predict", *map(str, words)], **options)


def test_a_folder_as_csv_and_as_a_table(student, mixed_folder, tmp_path):
    result = predict(*student, mixed_folder, "--format", "csv", "--top", "2")
    assert result.exit_code == 0, result.stderr
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == 24
    assert list(rows[0]) == ["file", "class", "probability", "class_2", "probability_2"]
    assert "skipped files that are not images: 1" in result.stderr
    table = predict(*student, mixed_folder, "--out", tmp_path / "rows.txt")
    assert table.stdout == ""
    heading, *lines = (tmp_path / "rows.txt").read_text().splitlines()
    assert heading.split() == ["file", "class", "%", "next", "classes"]
    for line, row in zip(lines, rows, strict=True):
        assert line.startswith(row["file"])
        assert line.split()[1:3] == [row["class"], f"{100 * float(row['probability']):.1f}"]


def test_an_image_from_standard_input_as_a_line_of_json(student, mixed_folder, tmp_path):
    image = mixed_folder / "cat" / "03-turned.jpg"
    piped = predict(*student, "-", "--format", "jsonl", "--top", "9", input=image.read_bytes())
    one = json.loads(piped.stdout)
    assert one["file"] == "-"
    assert sum(each["probability"] for each in one["predictions"]) == pytest.approx(1, abs=1e-4)
    predict(*student, image, "--out", tmp_path / "rows.jsonl", "--top", "9")
    other = json.loads((tmp_path / "rows.jsonl").read_text())
    assert other == {**one, "file": str(image)}


def test_one_document_with_what_failed(student, mixed_folder, tmp_path):
    good = mixed_folder / "dog" / "05-grey.jpg"
    (tmp_path / "half.jpg").write_bytes(good.read_bytes()[:200])
    result = predict(*student, tmp_path / "half.jpg", good, tmp_path / "none.png", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert [entry["file"] for entry in document["predictions"]] == [str(good)]
    assert [entry["file"] for entry in document["failed"]] == [
        str(tmp_path / "half.jpg"),
        str(tmp_path / "none.png"),
    ]
    assert f"warning: {tmp_path / 'none.png'}: No such file or directory." in result.stderr
    assert "2 of 3 images cannot be read" in result.stderr


def test_nothing_that_can_be_read_is_wrong_input(student, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("a cat")
    for path, message in (
        (tmp_path / "empty", "the folder holds no files"),
        (tmp_path / "text", "holds no images (files of other kinds: 1); expected images"),
        (tmp_path / "text" / "a.txt", "it is not an image of a known format"),
        (tmp_path / "none.png", "No such file or directory"),
        (tmp_path / "none.png", "none.png can be read; expected images. The lines above say"),
    ):
        result = predict(*student, path)
        assert (result.exit_code, result.stdout) == (2, ""), path
        assert message in result.stderr


def test_an_image_with_too_many_pixels_says_how_to_allow_it(student, tmp_path):
    from PIL import Image

    Image.new("1", (40, 30)).save(tmp_path / "large.png")
    result = predict(*student, tmp_path / "large.png", "--max-pixels", "1000")
    assert result.exit_code == 2
    assert "1,200 pixels; at most 1,000 are read. Allow it with --max-pixels N." in result.stderr
    assert predict(*student, tmp_path / "large.png", "--max-pixels", "1200").exit_code == 0


def test_another_error_of_the_same_words_has_no_advice(student, tmp_path, monkeypatch):
    from kd_keras.data.images.image_reader import ImageReader

    def refuse(reader, path):
        raise ValueError("it has 9 frames; at most 8 are read")

    monkeypatch.setattr(ImageReader, "file", refuse)
    (tmp_path / "a.png").write_bytes(b"")
    result = predict(*student, tmp_path / "a.png")
    assert "9 frames; at most 8 are read." in result.stderr
    assert "--max-pixels" not in result.stderr


def test_the_old_name_of_out_works_with_a_warning(student, mixed_folder, tmp_path):
    image = mixed_folder / "cat" / "03-turned.jpg"
    result = predict(*student, image, "--output", tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text().startswith("file,class")
    assert "kdk: warning: --output has a new name. Write --out." in result.stderr
    assert "--output" not in CliRunner().invoke(kdk, ["predict", "--help"]).output


def test_a_model_without_class_names_shows_numbers(student, mixed_folder):
    image = mixed_folder / "cat" / "00-photo.jpg"
    result = predict(student[0], image)
    assert result.exit_code == 0
    assert "has no class names; their numbers are shown. Give --class-names" in result.stderr
    assert result.stdout.splitlines()[1].split()[1] in "01234"
    refusal = predict(student[0], image, "--dataset", f"folder:{mixed_folder}")
    assert refusal.exit_code == 2
    assert "has 5 classes and 2 class names (cat, dog, ...)" in refusal.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.keras", "a.png"], "there is no model file and no run 'none.keras'"),
        (["MODEL", "a.png", "--format", "xml"], "format is 'xml'; expected one of: csv, jsonl"),
        (["MODEL", "a.png", "--top", "0"], "top is 0; expected a whole number >= 1"),
        (["MODEL", "a.png", "--dataset", "digits"], "--class-names and --dataset are both given"),
    ],
)
def test_wrong_words_are_refused(student, words, message):
    words = [part for word in words for part in (student if word == "MODEL" else [word])]
    result = predict(*words)
    assert result.exit_code == 2
    assert message in result.stderr
