"""What commands refuse before they load data, which may be downloaded, or open a model."""

import pytest
from click.testing import CliRunner

import kd_keras
from kd_keras import data
from kd_keras.cli import kdk
from kd_keras.data import datasets
from kd_keras.job import train
from kd_keras.job.cache import make_cache
from kd_keras.job.compare_command import compare
from kd_keras.job.images import dataset
from kd_keras.job.prediction import opened_model
from kd_keras.job.recipe import recipe_files
from kd_keras.models import model_files

LONG = "n" * 245


@pytest.fixture
def model(net, tmp_path, monkeypatch):
    """A model's file; loading data fails the test."""

    def load(*arguments, **options):
        pytest.fail("the data are loaded first")

    for module in (data, datasets, dataset):
        monkeypatch.setattr(module, "load", load)
    (tmp_path / "file").touch()
    net("student", classes=10).save(tmp_path / "student.keras")
    return tmp_path / "student.keras"


@pytest.fixture
def unopened(model, monkeypatch):
    """The file; opening it fails the test too."""

    def open_model(*arguments, **options):
        pytest.fail("the model is opened first")

    for module in (model_files, opened_model):
        monkeypatch.setattr(module, "open_model", open_model)
    return model


def test_a_missing_teacher_is_known_before(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no model file and no run .*missing"):
        kd_keras.evaluate(model, dataset="digits", teacher=tmp_path / "missing.keras")


@pytest.mark.parametrize("command", [kd_keras.evaluate, kd_keras.export])
def test_a_place_that_cannot_be_written_is_known_before(unopened, tmp_path, command):
    with pytest.raises(OSError, match=r"Could not write .*file is a file\. That is --out\. Move"):
        command(unopened, dataset="digits", out=tmp_path / "file" / "below")
    with pytest.raises(OSError, match=r"the path is too long .* Give a shorter --out\."):
        command(unopened, dataset="digits", out=tmp_path / LONG)


def test_an_exported_file_that_cannot_be_written_is_known_before(model, tmp_path):
    long_name = model.rename(tmp_path / f"{LONG[:240]}.keras")
    with pytest.raises(OSError, match=r"the path is too long .* Give a shorter --out\."):
        kd_keras.export(long_name, dataset="digits", out=tmp_path / "exports")
    assert not (tmp_path / "exports").exists()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("file/rows.csv", "file is a file. That is --out. Move what is in the way"),
        ("folder", "', a folder; expected a file. Add a file's name to it."),
        (f"{LONG}.csv", "the path is too long for the file system"),
    ],
)
def test_rows_that_cannot_be_written_are_known_before(unopened, tmp_path, output, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").touch()
    words = [str(unopened), "image.png", "--dataset", "digits", "--out", f"{tmp_path}/{output}"]
    answer = CliRunner().invoke(kdk, ["predict", *words])
    assert answer.exit_code == 2
    assert message in answer.stderr.replace("\n  ", " ")
    assert (tmp_path / "folder" / "mine").is_file()


@pytest.mark.parametrize("place", ["file/page.html", f"{LONG}.html"])
def test_a_page_that_cannot_be_written_is_known_before(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Could not write .*(That is|shorter) --html"):
        compare.compare(["no-such-run", "nor-this"], html=tmp_path / place)


@pytest.mark.parametrize(
    ("run", "export_dir", "option"),
    [(LONG, "exports", "--run"), ("run", LONG, "--export-dir"), (None, LONG, "--export-dir")],
)
def test_a_run_that_cannot_be_written_is_known_before(model, tmp_path, run, export_dir, option):
    recipe = recipe_files.Recipe(dataset="digits", teacher=str(model))
    run = None if run is None else f"{tmp_path}/{run}"
    with pytest.raises(OSError, match=rf"the path is too long .* Give a shorter {option}\.$"):
        train.run(recipe, run=run, export_dir=f"{tmp_path}/{export_dir}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "student.keras"]


def test_a_cache_that_cannot_be_written_is_known_before(model, tmp_path):
    recipe = recipe_files.Recipe(dataset="digits", teacher=str(model), views=1)
    with pytest.raises(OSError, match=r"the path is too long .* Give a shorter --out\.$"):
        make_cache.run(recipe, folder=tmp_path / LONG)
