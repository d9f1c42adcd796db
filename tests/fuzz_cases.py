"""Random broken input for each part that reads some; what may come of it is checked by the case.

Each case is a function of a `random.Random` and an empty folder. It ends well, or raises ValueError
or OSError with a message, as `kdk` shows to users; anything else is a fault. Cases on kept files
(stores, caches, scores, checkpoints) also compare what was read with what was written.
"""

import contextlib
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import broken_files as broken
import numpy as np
from fuzz_models import keras_file, onnx_file, saved_model
from PIL import Image

Case = Callable[[random.Random, Path], Any]


def recipe(rng: random.Random, folder: Path) -> None:
    """Any fields with any values, from Python, from options, and from a file of any form."""
    from kd_keras.job.checks import precheck
    from kd_keras.job.recipe import recipe_files

    names = [*recipe_files.Recipe.model_fields, "self", "temperature", "kd_weight", "x", ""]
    fields = {rng.choice(names): broken.value(rng) for _ in range(rng.choice([0, 1, 1, 2, 4]))}
    sets = [
        f"{rng.choice(names)}={rng.choice(broken.WORDS)}"
        for _ in range(rng.choice([0, 0, 0, 1, 2]))
    ]
    built_in = ["quickstart", "plain_cnn", "tiny_imagenet", None]
    name = rng.choice([*built_in, *built_in, "x", "a.toml", "a.json"])
    if name in ("a.toml", "a.json"):
        text = json.dumps(fields) if name == "a.json" else broken.toml(fields)
        (folder / name).write_bytes(broken.spoilt(rng, text.encode(errors="replace"), at_least=0))
        name, fields = str(folder / name), {}
    precheck.check_recipe(recipe_files.resolve(name, fields, sets))


def command_line(rng: random.Random, folder: Path) -> None:
    """Any command with any options; what would train or read a model only checks its recipe."""
    from click.testing import CliRunner

    from kd_keras.cli import kdk

    commands = ["train", "train", "train", "cache", "evaluate", "predict", "report", "compare"]
    options = [f"--{name}" for name in _OPTIONS]
    words = [rng.choice([*commands, "runs", "list", "export", "x"])]
    for _ in range(rng.randint(0, 5)):
        words.append(rng.choice(options) if rng.random() < 0.6 else rng.choice(broken.WORDS))
    if words[0] == "app":
        return
    answer = CliRunner().invoke(kdk, words)
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    if answer.exit_code not in (0, 2):
        raise AssertionError(f"{words}: exit code {answer.exit_code}: {answer.output}")
    if answer.exit_code == 2 and not answer.output.strip():
        raise AssertionError(f"{words}: no message")


_OPTIONS = (
    *("recipe", "set", "dataset", "teacher", "student", "method", "epochs", "batch-size", "views"),
    *("image-size", "temperature", "kd-weight", "devices", "run", "export-dir", "learning-rate"),
    *("seed", "import", "weights", "json", "baseline", "no-timing", "max-pixels", "repeat", "top"),
    *("teacher-from", "ce-weight", "out", "format", "quantize", "help", "x", "teacher-class-names"),
)


#: Options of `kdk train` that take a value.
RUN_OPTIONS = (
    *("method", "temperature", "kd-weight", "ce-weight", "learning-rate", "optimizer", "schedule"),
    *(
        "weight-decay",
        "views",
        "val-fraction",
        "label-smoothing",
        "ema",
        "seed",
        "set",
        "precision",
    ),
    *("ensemble-weights", "weights", "image-size", "max-pixels", "resize", "teacher-image-size"),
)


def image_bytes(rng: random.Random, folder: Path) -> None:
    """An image file with changed bytes: the pixels of a decoder, or a message."""
    from kd_keras.data.images.image_reader import ImageReader

    path = folder / f"image.{rng.choice(['jpg', 'png', 'gif', 'bmp', 'webp', 'tif', 'txt'])}"
    path.write_bytes(broken.image(rng))
    pixels = broken.reader(ImageReader).file(path)
    assert pixels.shape == (8, 8, 3), pixels.shape


def data_folder(rng: random.Random, folder: Path) -> None:
    """A folder of images with odd names, links, pipes, empty folders and broken files."""
    from kd_keras import data

    root = folder / "data"
    names = ["a", "b", "c d", "é", "a\nb", ".x", "train", "val", "test", "__MACOSX", "x" * 200]
    for _ in range(rng.randint(1, 10)):
        place = root.joinpath(*(rng.choice(names) for _ in range(rng.choice([0, 1, 1, 1, 2, 3]))))
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        broken.put(rng, place / rng.choice(["1.png", "2.jpg", "3.txt", "4", ".5.png", "6.gif"]))
    if rng.random() < 0.5:  # else most have too few classes to be read at all
        for name in ("a", "b"):
            (root / name).mkdir(parents=True, exist_ok=True)
            for number in range(3):
                Image.new("RGB", (9, 8), (number, 0, 0)).save(root / name / f"good{number}.png")
    loaded = data.load(
        f"folder:{root}", cache_dir=folder / "cache", image_size=8, tell=lambda note: None
    )
    assert loaded.train.images.shape[1:] == (8, 8, 3)


def zip_members(rng: random.Random, folder: Path) -> None:
    """Tiny ImageNet's archive with broken members, lists and annotations."""
    from kd_keras.data.tiny_imagenet import archive, layout

    classes, members = ["n01", "n02"], {}
    for wnid in classes:
        members[f"train/{wnid}/images/{wnid}_0.JPEG"] = broken.png()
        members[f"val/images/{wnid}.JPEG"] = broken.png()
    lines = [f"{wnid}.JPEG\t{wnid}\t0\t0\t9\t9" for wnid in classes]
    members["val/val_annotations.txt"] = "\n".join(lines).encode()
    members["wnids.txt"], members["words.txt"] = b"n01\nn02", b"n01\tcat\nn02\tdog, hound"
    for name in rng.sample(sorted(members), rng.randint(0, 2)):
        members[name] = broken.spoilt(rng, members[name], at_least=0)
    if rng.random() < 0.3:
        members[rng.choice(["../x", "/x", "a\\b", "train/n03/images/x.JPEG", "words.txt/x"])] = b"x"
    path = folder / "tiny-imagenet-200.zip"
    with zipfile.ZipFile(path, "w", rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])) as file:
        for name, content in members.items():
            file.writestr(f"tiny-imagenet-200/{name}", content)
    if rng.random() < 0.5:
        path.write_bytes(broken.spoilt(rng, path.read_bytes()))
    with archive.open_archive(archive.find(folder)) as opened:
        dataset = layout.read(opened)
        for examples in dataset.splits.values():
            for name, _ in examples:
                opened.read(name)


def teacher_cache(rng: random.Random, folder: Path) -> None:
    """A teacher's cache of which one file was changed: a message, or the rows as written."""
    from kd_keras.teacher_cache import encoding, file_format, part_files
    from kd_keras.teacher_cache.reader import Cache

    logits = np.arange(24, dtype=np.float32).reshape(8, 3)
    header = file_format.Header(
        **{"teacher": "t", "data": "d", "augment": {}, "view_seed": 0, "views": 1, "examples": 8},
        outputs={"logits": (3,)},
        dtype="float32",
        rows_per_part=5,
    )
    cache, ids = folder / "cache", np.arange(8)
    cache.mkdir()
    file_format.write_header(cache, header, ids)
    for part, rows in enumerate((logits[:5], logits[5:])):
        arrays = encoding.encode({"logits": rows}, header)
        part_files.write_part(cache, 0, part, arrays)
    broken.spoil_a_file(rng, cache, but=("header.json",))
    rows = Cache(cache)
    np.testing.assert_array_equal(rows(ids, 0)["logits"], logits)


def store(rng: random.Random, folder: Path) -> None:
    """A store of which one file was changed and its times put back: a message, or its content."""
    from kd_keras.data.stores import store_folder, store_writer

    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
    labels = np.array([0, 1, 0, 1, 0, 1])
    parts = {"train": store_writer.SplitContents(6, iter([(images, labels)]))}
    about = {"source": "x", "kind": "x", "state": "x"}
    place = folder / "store"
    place.mkdir()
    contents = store_writer.Contents(["a", "b"], parts)
    store_writer.write(place, contents, about, flip=True, advance=lambda count: None)
    broken.spoil_a_file(rng, place)
    opened = store_folder.open_store(place)
    np.testing.assert_array_equal(opened.splits["train"].images, images)
    np.testing.assert_array_equal(opened.splits["train"].labels, labels)
    assert opened.class_names == ("a", "b")
    assert opened.state == "x"


def run_scores(rng: random.Random, folder: Path) -> None:
    """Scores and labels of a run of which a file was changed: nothing, or what was written."""
    from kd_keras.results.run_files import score_files

    logits = np.random.default_rng(0).normal(size=(7, rng.choice([3, 501]))).astype(np.float32)
    score_files.save(folder, "student", logits)
    score_files.save_labels(folder, np.arange(7))
    before = score_files.load(folder, "student")
    broken.spoil_a_file(rng, folder)
    after, labels = score_files.load(folder, "student"), score_files.load_labels(folder)
    assert after is None or np.array_equal(after, before)
    assert labels is None or np.array_equal(labels, np.arange(7))


def checkpoint(rng: random.Random, folder: Path) -> None:
    """Two checkpoints of which a file was changed: one of the two as written, or none."""
    from kd_keras.distill.callbacks import checkpoint_files

    states = {}
    for step in (1, 2):
        position = checkpoint_files.Position(0, step, 5, {"m": {"loss": [1.0]}}, 1.0, 1.0, ["m"])
        states[step] = {"m": [np.full((2, 2), step, np.float32)]}
        folder.mkdir(exist_ok=True)
        checkpoint_files.write(folder, position, states[step])
    broken.spoil_a_file(rng, folder, but=(".json",))
    newest = checkpoint_files.newest(folder)
    if newest is not None:
        position, state = newest
        np.testing.assert_array_equal(state["m"][0], states[position.step]["m"][0])


def run_folder(rng: random.Random, folder: Path) -> None:
    """A run folder whose JSON files hold anything, read as `kdk runs` and `kdk report` do."""
    from kd_keras.job.run_folders import run_state
    from kd_keras.results.report import finished_run
    from kd_keras.results.run_files import run_data

    entries: dict[str, Any] = {
        "recipe.json": {"dataset": "digits"},
        "results.json": {"student": {"top1": 0.5, "role": "student"}, "baseline": None},
        "provenance.json": {"data": "x"},
        "data.json": {"class_names": ["a"], "image_shape": [8, 8, 3], "resize": "crop"},
        "student.json": {"history": {"loss": [1.0]}},
    }
    for name, value in entries.items():
        content = json.dumps(value).encode()
        if rng.random() < 0.4:
            content = rng.choice(
                [
                    b"",
                    b"[]",
                    b"null",
                    b"{}",
                    b"[" * 50_000,
                    broken.spoilt(rng, content, at_least=0),
                ]
            )
        (folder / name).write_bytes(content)
    for read_run in (run_state.read, finished_run.read, run_data.read):
        with contextlib.suppress(ValueError, OSError):
            read_run(folder)


#: Cases that one process can run, by name.
CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        *(recipe, command_line, image_bytes, data_folder, zip_members),
        *(keras_file, saved_model, onnx_file),
        *(teacher_cache, store, run_scores, checkpoint, run_folder),
    )
}


def outcome(case: Case, rng: random.Random, folder: Path) -> str:
    """ "success" or "message"; any other error of the case is raised."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        case(rng, folder)
    except (ValueError, OSError) as error:
        if not str(error):
            raise AssertionError(f"an error without a message: {error!r}") from error
        return "message"
    return "success"
