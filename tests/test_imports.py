"""Imports point to lower ranks, files stay short, TensorFlow stays where it may be."""

import ast
import functools
import graphlib
import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "kd_keras"
FILES = sorted(PACKAGE.rglob("*.py"))

# docs/architecture.md says what each package holds. Those of one rank do not import each other.
RANKS = {
    **dict.fromkeys(["check", "files", "replicas", "tensor_types"], 0),
    "losses": 1,
    **dict.fromkeys(["graph", "data", "optimizers"], 2),
    **dict.fromkeys(["models", "methods"], 3),
    "distill": 4,
    **dict.fromkeys(["teacher_cache", "exports"], 5),
    "results": 6,
    "job": 7,
    "cli": 8,
    **dict.fromkeys(["__init__", "__main__"], 9),
}
# Which files import TensorFlow, and for what; the others run on any backend of Keras, or need none.
MAY_IMPORT_TENSORFLOW = {
    "decodes and batches images with tf.data": [
        "data/elements.py",
        "data/folders/image_folder.py",
        "data/images/decode.py",
        "data/images/image_reader.py",
        "data/images/orientation.py",
        "data/images/resizing.py",
        "data/pipeline.py",
    ],
    "reads records of TensorFlow Datasets": [
        "data/tfds/tfds_records.py",
        "data/tfds/tfds_source.py",
        "data/tfds/tfds_workarounds.py",
        "data/tiny_imagenet/images.py",
        "data/tiny_imagenet/tiny_imagenet_dataset_builder.py",
    ],
    "restores the parts of a variable that replicas hold": [
        "distill/callbacks/training_state.py",
    ],
    "tf.distribute: strategies, replicas, machines": [
        "distill/machines.py",
        "job/hardware/devices.py",
        "replicas.py",
    ],
    "compiles, differentiates or distributes a step": [
        "distill/callbacks/gradient_norms.py",
        "distill/checks/data_checks.py",
        "distill/checks/model_checks.py",
        "distill/checks/weight_checks.py",
        "distill/distiller.py",
        "distill/keras_model/checked_model.py",
        "distill/keras_model/deploying_model.py",
        "distill/keras_model/replica_model.py",
        "distill/step/accumulation.py",
        "distill/step/gradients.py",
        "distill/step/split_batch.py",
    ],
    "writes an exported file": [
        "exports/classifier_graph.py",
        "exports/litert.py",
        "exports/saved_model.py",
        "exports/signatures.py",
    ],
    "runs an exported file": [
        "exports/runtimes/run_keras_file.py",
        "exports/runtimes/run_saved_model.py",
        "exports/session.py",
    ],
    "changes how a model's graph is computed": [
        "graph/bias_gradient.py",
        "graph/fused_batch_norm.py",
        "graph/layer_copies.py",
        "graph/likeness.py",
        "graph/precision.py",
        "graph/twins.py",
    ],
    "notes the devices of a run": [
        "job/run_folders/provenance.py",
    ],
    "writes or reads TensorBoard's files": [
        "job/training/hparams.py",
        "results/loggers/tensorboard_logs.py",
    ],
    "runs a model as a compiled function": [
        "results/evaluation/measure_model.py",
    ],
    "runs a teacher as a compiled function": [
        "teacher_cache/keras_teacher.py",
        "teacher_cache/onnx_teacher.py",
    ],
}


def name(path):
    return str(path.relative_to(PACKAGE))


def package_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@functools.cache
def tree(path):
    return ast.parse(path.read_text())


@functools.cache
def imported_modules(path):
    """Dotted names of what a file imports: "a.b" for `from a import b`, relative ones resolved."""
    return {*_imported_modules(path), *_imported_by_name(path)}


def _imported_modules(path):
    package = ("kd_keras", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def dotted(path):
    parts = ("kd_keras", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted(path) for path in FILES if path.stem != "__main__"}  # those are programs


def _imported_by_name(path):
    """Modules that `importlib.import_module` is given as text: all that fit, of an f-string."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            text = node.args[0]
            parts = text.values if isinstance(text, ast.JoinedStr) else [text]
            if isinstance(parts[0], ast.Constant):
                pattern = [
                    re.escape(p.value) if isinstance(p, ast.Constant) else r"\w+" for p in parts
                ]
                yield from (m for m in MODULES if re.fullmatch("".join(pattern), m))


def imported_packages(path):
    for module in imported_modules(path):
        package, *parts = module.split(".")
        if package == "kd_keras":
            # `import kd_keras` and `from kd_keras import Distiller` reach the public names.
            yield parts[0] if parts and parts[0] in RANKS else "__init__"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_lies_in_a_known_package(path):
    package = package_of(path)
    assert package in RANKS, f"give {package} a rank here and a line in docs/architecture.md"


def test_imports_by_name_are_found():
    assert "kd_keras.graph.backend" in imported_modules(PACKAGE / "__init__.py")
    assert "kd_keras.cli.train" in imported_modules(PACKAGE / "cli" / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_point_to_lower_ranks(path):
    own_package = package_of(path)
    for other in set(imported_packages(path)) - {own_package}:
        assert RANKS[other] < RANKS[own_package], (
            f"{own_package} (rank {RANKS[own_package]}) imports {other}"
        )


def methods_imported(path):
    """Modules of methods that a file imports, beside itself."""
    of_method = re.compile(r"kd_keras\.methods\.(?!parts\b|base\b)\w+")
    return {module for module in modules_imported(path) if of_method.fullmatch(module)}


@pytest.mark.parametrize("path", sorted((PACKAGE / "methods").rglob("*.py")), ids=name)
def test_methods_do_not_import_each_other(path):
    if path != PACKAGE / "methods" / "__init__.py":  # which makes a method by its name
        assert not methods_imported(path), "shared code of methods lies in methods/parts/"


@pytest.mark.parametrize("line", ["from . import dkd, parts", "import kd_keras.methods.dkd as x"])
def test_methods_that_import_each_other_are_found(line, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "tree", lambda path: ast.parse(path.name))
    assert methods_imported(PACKAGE / "methods" / line) == {"kd_keras.methods.dkd"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "job/recipe").rglob("*.py")), ids=name)
def test_a_recipe_does_not_import_the_job(path):
    outside = [
        module
        for module in imported_modules(path)
        if module.startswith("kd_keras.job.") and not module.startswith("kd_keras.job.recipe.")
    ]
    assert not outside, f"{name(path)} imports {outside}; job/recipe/ is below the rest of job/"


def parts_imported(folder):
    """For each file and folder directly in a package: which others of that package it imports."""
    imported = {}
    for path in folder.rglob("*.py"):
        part = path.relative_to(folder).with_suffix("").parts[0]
        below = f"kd_keras.{folder.name}."
        part_names = {m.split(".")[2] for m in imported_modules(path) if m.startswith(below)}
        imported.setdefault(part, set()).update(part_names - {part})
    return {part: part_names & set(imported) for part, part_names in imported.items()}


@pytest.mark.parametrize(
    "folder", sorted(p.parent for p in PACKAGE.glob("*/__init__.py")), ids=name
)
def test_the_parts_of_a_package_do_not_import_each_other_in_a_circle(folder):
    imported = parts_imported(folder)
    while lowest := [part for part, others in imported.items() if not others & set(imported)]:
        for part in lowest:
            del imported[part]
    assert not imported, "these import each other in a circle"


def modules_imported(path):
    """The files of kd_keras that a file imports, inside functions too.

    That a module first runs the `__init__.py` of its own folder is left out: the names that a
    folder offers come from its modules.
    """
    for imported in imported_modules(path):
        while imported and imported not in MODULES:  # the names that come from a module
            imported = imported.rpartition(".")[0]
        if imported and imported != dotted(path):
            yield imported


def test_files_do_not_import_each_other_in_a_circle():
    imported = {dotted(path): set(modules_imported(path)) for path in FILES}
    assert imported["kd_keras.models"] >= {"kd_keras.check", "kd_keras.models.applications"}
    try:
        graphlib.TopologicalSorter(imported).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_have_at_most_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_the_listed_files_import_tensorflow(path):
    packages = {module.partition(".")[0] for module in imported_modules(path)}
    imports = bool(packages & {"tensorflow", "tensorflow_datasets", "tensorboard"})
    listed = [reason for reason, names in MAY_IMPORT_TENSORFLOW.items() if name(path) in names]
    assert bool(listed) == imports, "change the list, under a reason"


def test_the_drawing_of_the_packages_is_that_of_the_imports():
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "scripts/architecture.py")
    architecture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(architecture)
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert architecture.with_drawing(page) == page, "run python scripts/architecture.py"


def test_there_are_few_packages():
    entries = [path for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "py.typed")]
    folders = [path for path in entries if path.is_dir()]
    modules = [path for path in entries if path.is_file() and not path.name.startswith("__")]
    assert (len(folders) <= 11, len(modules) <= 5) == (True, True)
