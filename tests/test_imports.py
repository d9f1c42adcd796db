"""Imports point to lower ranks, files stay short, TensorFlow stays where it may be."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "kd_keras"
FILES = sorted(PACKAGE.rglob("*.py"))

# docs/architecture.md says what each package holds. Those of one rank do not import each other.
RANKS = {
    **dict.fromkeys(["check", "files", "losses", "replicas"], 0),
    **dict.fromkeys(["graph", "data", "optimizers"], 1),
    **dict.fromkeys(["models", "methods"], 2),
    "distill": 3,
    **dict.fromkeys(["teacher_cache", "exports"], 4),
    "results": 5,
    "job": 6,
    "cli": 7,
    **dict.fromkeys(["__init__", "__main__"], 8),
}
MAY_IMPORT_TENSORFLOW = {
    "data/decode.py",
    "data/elements.py",
    "data/folder.py",
    "data/image_reader.py",
    "data/orientation.py",
    "data/pipeline.py",
    "data/resizing.py",
    "data/tfds_records.py",
    "data/tfds_source.py",
    "data/tfds_workarounds.py",
    "data/tiny_imagenet/images.py",
    "data/tiny_imagenet/tiny_imagenet_dataset_builder.py",
    "distill/accumulation.py",
    "distill/checked_model.py",
    "distill/data_checks.py",
    "distill/deploying_model.py",
    "distill/distiller.py",
    "distill/gradient_norms.py",
    "distill/gradients.py",
    "distill/machines.py",
    "distill/model_checks.py",
    "distill/replica_model.py",
    "distill/split_batch.py",
    "exports/classifier_graph.py",
    "exports/litert.py",
    "distill/training_state.py",
    "exports/runtimes/keras_file.py",
    "exports/runtimes/saved_model.py",
    "exports/saved_model.py",
    "exports/session.py",
    "exports/signatures.py",
    "graph/bias_gradient.py",
    "graph/fused_batch_norm.py",
    "graph/layer_copies.py",
    "graph/likeness.py",
    "graph/precision.py",
    "graph/twins.py",
    "job/devices.py",
    "job/hparams.py",
    "job/provenance.py",
    "replicas.py",
    "results/evaluate.py",
    "results/tensorboard_logs.py",
    "teacher_cache/keras_teacher.py",
    "teacher_cache/onnx_teacher.py",
}


def name(path):
    return str(path.relative_to(PACKAGE))


def package_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_modules(path):
    """Dotted names of what a file imports: "a.b" for `from a import b`, relative ones resolved."""
    package = ("kd_keras", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


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


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_point_to_lower_ranks(path):
    own = package_of(path)
    for other in set(imported_packages(path)) - {own}:
        assert RANKS[other] < RANKS[own], f"{own} (rank {RANKS[own]}) imports {other}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "methods").glob("*.py")), ids=lambda p: p.stem)
def test_methods_do_not_import_each_other(path):
    others = {p.stem for p in (PACKAGE / "methods").glob("*.py")} - {"base", "__init__", path.stem}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kd_keras.methods"):
            names = {*node.module.split(".")[2:], *(alias.name for alias in node.names)}
            siblings = set() if "parts" in names else names & others
            assert not siblings, f"{path.name} imports {siblings}; shared code lies in parts/"


@pytest.mark.parametrize("path", sorted((PACKAGE / "job/recipe").rglob("*.py")), ids=name)
def test_a_recipe_knows_nothing_of_the_job(path):
    outside = [
        module
        for module in imported_modules(path)
        if module.startswith("kd_keras.job.") and not module.startswith("kd_keras.job.recipe.")
    ]
    assert not outside, f"{name(path)} imports {outside}; job/recipe/ is below the rest of job/"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_have_at_most_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_the_listed_files_import_tensorflow(path):
    packages = {module.partition(".")[0] for module in imported_modules(path)}
    imports = bool(packages & {"tensorflow", "tensorflow_datasets", "tensorboard"})
    assert imports == (name(path) in MAY_IMPORT_TENSORFLOW), "change the list, with a reason"


def test_the_drawing_of_the_packages_is_that_of_the_imports():
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "scripts/architecture.py")
    architecture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(architecture)
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert architecture.with_drawing(page) == page, "run python scripts/architecture.py"


def test_there_are_few_packages():
    entries = [path for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "py.typed")]
    folders = [path for path in entries if path.is_dir()]
    modules = [path for path in entries if path.is_file() and path.name != "__main__.py"]
    assert (len(folders) <= 11, len(modules) <= 5) == (True, True)


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, kd_keras, kd_keras.cli\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'matplotlib', 'sklearn', 'pydantic', 'rich'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, f"imported at start: {done.stderr}"


def test_writing_a_cache_needs_no_keras():
    """A teacher of another framework writes its cache in a program without TensorFlow."""
    code = (
        "import sys, kd_keras.teacher_cache.writer\n"
        "sys.exit(', '.join(sorted({'tensorflow', 'keras'} & set(sys.modules))) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, f"imported with the writer: {done.stderr}"
