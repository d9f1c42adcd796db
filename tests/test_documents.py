"""The code blocks of README.md and docs/ run, or are commands that the program understands.

A page's Python blocks run in order, in one namespace. A comment before a block says why it does
not run: `<!-- needs a download -->`, `<!-- shell: REASON -->` or `<!-- run in tests/FILE -->`.
"""

import importlib
import io
import re
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kd_keras
from kd_keras import methods, models
from kd_keras.cli import kdk
from kd_keras.job.recipe import recipe_files, spec

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"((?:^<!-- .* -->\n)?)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REASON = re.compile(r"<!-- (needs a download|shell: .+|run in (tests/\S+)) -->")
SAVED = re.compile(r"`kd_keras/(\w+)/(\w+)\.py`")
TUTORIAL = "docs/tutorials/own-model.md"  # other pages use the models that it makes
WORDS = {"&&", "||", "|", ";", "do", "done"}  # of a shell, between commands
FILE_SUFFIXES = (".keras", ".h5", ".onnx")


class Block(NamedTuple):
    page: str
    language: str
    code: str
    skipped: str  # the reason, or ""
    before: str  # the text of the page before it


def blocks():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for path in pages:
        text = path.read_text(encoding="utf-8")
        for fence in FENCE.finditer(text):
            comment, language, code = fence.groups()
            reason = REASON.search(comment)
            skipped = reason[1] if reason else ""
            page = path.relative_to(ROOT).as_posix()
            yield Block(page, language, code, skipped, text[: fence.start()])


BLOCKS = list(blocks())
PYTHON = [block for block in BLOCKS if block.language == "python" and not block.skipped]


def commands():
    """(page, arguments) of each command line in the pages, `kdk` and others."""
    for block in BLOCKS:
        if block.language == "bash":
            for line in block.code.splitlines():
                command = []
                for word in [*shlex.split(line.replace(";", " ; "), comments=True), ";"]:
                    if word not in WORDS:
                        command.append(word)
                    elif command:
                        yield block.page, command
                        command = []


COMMANDS = sorted({(page, *command) for page, command in commands()})
KDK = [(page, *arguments) for page, program, *arguments in COMMANDS if program == "kdk"]


def test_blocks_say_their_language_and_where_else_they_run():
    for block in BLOCKS:
        assert block.language in {"python", "bash", "text", "toml", "mermaid", "json"}, block
        _, _, test = block.skipped.partition("run in ")
        assert not test or (ROOT / test).is_file(), test


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_links_of_pages_outside_the_site_lead_to_files(page):
    for link in re.findall(r"\]\(([^)#:\s]+)", page.read_text(encoding="utf-8")):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("name", kd_keras.__all__)
def test_the_api_reference_has_the_public_name(name):
    public = getattr(kd_keras, name)
    home = getattr(public, "__qualname__", None)
    path = f"{public.__module__}.{home}" if home else public.__name__
    pages = "".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.md"))
    assert f"::: {path}" in pages, f"add `::: {path}` to a page in docs/api/"


@pytest.mark.parametrize("command", KDK, ids=" ".join)
def test_kdk_understands_the_command(command):
    _, name, *arguments = command
    top = click.Context(kdk, info_name="kdk")
    if name.startswith("-"):
        return
    subcommand = kdk.get_command(top, name)
    try:
        options = subcommand.make_context(name, arguments, parent=top).params
    except click.exceptions.Exit:  # of --help
        return
    for text in options.get("method") or ():
        method, knobs = spec.parse(text)
        assert method == "none" or methods.get(method, **knobs)
    teacher = options.get("teacher") or ()  # of `kdk evaluate`, one text
    teachers = [teacher] if isinstance(teacher, str) else teacher
    for text in [*(options.get("student") or ()), *teachers]:
        model, _ = spec.parse(text) if not text.endswith(FILE_SUFFIXES) else (text, {})
        model_names = (*models.names(), "FOLDER", "cache", "app")
        assert model.partition(":")[0] in model_names or model.endswith(FILE_SUFFIXES), text


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_scripts_in_commands_exist(command):
    for word in command[1:]:
        if word.startswith(("scripts/", "examples/")):
            assert (ROOT / word).exists(), word


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "toml"], ids=lambda b: b.page)
def test_a_recipe_is_read(block, tmp_path):
    (tmp_path / "recipe.toml").write_text(block.code)
    assert recipe_files.load(tmp_path / "recipe.toml")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder as after the tutorial, its names, and files under the names that docs use."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("workshop")
        patch.chdir(folder)
        patch.setenv("KD_KERAS_CACHE", str(folder / "cache"))
        names = run_page(TUTORIAL, {}, patch)
        (folder / "runs" / "NAME").mkdir(parents=True)
        shutil.copy("student.keras", folder / "runs" / "NAME")
        shutil.copytree("served_student", folder / "saved_models" / "NAME")
        png = io.BytesIO()
        Image.fromarray(np.zeros((9, 12), np.uint8)).save(png, "PNG")
        Image.fromarray(np.zeros((9, 12), np.uint8)).save("photo.jpg")
        page_variables = {
            **{key: names[key] for key in ("student", "teacher")},
            **{key: batches(names[key]) for key in ("train_data", "validation_data")},
            "uint8_batch": names["images"][:4].astype("uint8"),
            "jpeg_or_png_bytes": png.getvalue(),
        }
        yield names, page_variables, patch


def batches(arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(64)


def run_page(page, page_variables, patch):
    """Runs the page's blocks and the tests in them; returns the names that they leave."""
    names = {"__name__": "page", **page_variables}
    for block in PYTHON:
        if block.page != page:
            continue
        saved = SAVED.search(block.before.rpartition("\n\n")[0].rpartition("\n\n")[2])
        if saved:
            names |= vars(module(*saved.groups(), block.code, patch))
        else:
            before = set(names)
            exec(compile(block.code, page, "exec"), names)
            for name in set(names) - before:
                if name.startswith("test_"):
                    names[name]()
    return names


def module(package, name, code, patch):
    """The code as the module of that name, in a folder of its own."""
    folder = Path("packages", package)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(code)
    parent = importlib.import_module(f"kd_keras.{package}")
    patch.setattr(parent, "__path__", [*parent.__path__, str(folder.resolve())])
    return importlib.import_module(f"kd_keras.{package}.{name}")


@pytest.mark.slow
def test_the_tutorial_ends_with_a_distilled_student_that_knows_the_digits(workshop):
    names, _, _ = workshop
    images, labels = names["validation_data"]
    answers = names["student"].predict(images, verbose=0).argmax(axis=-1)
    assert (answers == labels).mean() > 0.5
    assert Path("served_student/saved_model.pb").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({b.page for b in PYTHON} - {TUTORIAL}))
def test_the_page_runs(page, workshop):
    _, page_variables, patch = workshop
    run_page(page, page_variables, patch)
