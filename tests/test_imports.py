"""The rooms: imports point one way, files stay short, tensorflow stays where it may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "kd_keras"
FILES = sorted(PACKAGE.rglob("*.py"))

RANKS = {
    **dict.fromkeys(["check", "losses", "spec", "screen", "atomic", "taps", "backend"], 0),
    **dict.fromkeys(["split_batch", "bias_gradient", "fused_batch_norm", "likeness"], 0),
    **dict.fromkeys(["precision", "chance", "quiet", "phase_names", "paths", "pictures"], 0),
    **dict.fromkeys(["field_values", "heads", "data", "strategy", "folding", "layer_copies"], 1),
    **dict.fromkeys(["labels", "custom_objects", "curves", "architecture"], 1),
    **dict.fromkeys(["fields", "models", "methods", "optimizers", "twins", "batches"], 2),
    **dict.fromkeys(["serving", "data_checks", "model_checks"], 2),
    **dict.fromkeys(["recipe", "diagnostics", "run_length", "gradients", "compiled_metrics"], 3),
    **dict.fromkeys(["teacher", "objective", "report"], 3),
    **dict.fromkeys(["lineage", "dataset", "cache_command"], 4),
    "replica_model": 4,
    **dict.fromkeys(
        ["adjustment", "cache", "callbacks", "validation", "checked_model", "tensorboard_logs"], 5
    ),
    **dict.fromkeys(["checkpoint", "export", "classifiers", "deploying_model"], 6),
    **dict.fromkeys(["verdict", "hparams"], 6),
    "distiller": 7,
    **dict.fromkeys(["evaluation", "phases", "teacher_rows", "together", "job_time"], 8),
    **dict.fromkeys(["fitting", "closing", "teacher_check"], 9),
    **dict.fromkeys(["once", "caching", "cast"], 10),
    "train": 11,
    "cli": 12,
    **dict.fromkeys(["__init__", "__main__"], 13),
}
MAY_IMPORT_TENSORFLOW = {
    *("bias_gradient", "fused_batch_norm", "layer_copies", "likeness", "precision"),
    *("data", "twins", "strategy", "teacher", "gradients", "cache", "distiller"),
    *("callbacks", "checkpoint", "export", "serving", "evaluation", "phases", "train", "cli"),
    *("split_batch", "replica_model", "data_checks", "model_checks", "checked_model"),
    "deploying_model",
    *("tensorboard_logs", "hparams"),
}


def room(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "kd_keras":
                yield from (alias.name for alias in node.names)
            elif node.module.startswith("kd_keras."):
                yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("kd_keras."):
                    yield alias.name.split(".")[1]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_to_lower_ranks(path):
    own = room(path)
    for other in set(imported_rooms(path)) - {own}:
        assert RANKS[other] < RANKS[own], f"{own} (rank {RANKS[own]}) imports {other}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "methods").glob("*.py")), ids=lambda p: p.stem)
def test_methods_do_not_import_each_other(path):
    others = {p.stem for p in (PACKAGE / "methods").glob("*.py")} - {"base", "__init__", path.stem}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kd_keras.methods"):
            names = {*node.module.split(".")[2:], *(alias.name for alias in node.names)}
            siblings = set() if "parts" in names else names & others
            assert not siblings, f"{path.name} imports {siblings}; shared code lies in parts/"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_have_at_most_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_marked_rooms_import_tensorflow(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    assert room(path) in MAY_IMPORT_TENSORFLOW or not names & {"tensorflow", "tensorflow_datasets"}


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, kd_keras, kd_keras.cli\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'matplotlib', 'sklearn', 'pydantic', 'rich'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, f"imported at start: {done.stderr}"
