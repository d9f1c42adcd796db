"""Every script in examples/ runs to its end, offline, and what its docstring promises holds."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))
MAX_LINES = 60


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """run("name") runs an example here and gives its names and what it printed."""

    def run_it(name):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(sys, "argv", [f"{name}.py"])
        names = runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        return names, capsys.readouterr().out

    return run_it


def percents(text):
    return [float(number) for number in re.findall(r"([\d.]+)%", text)]


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_is_short_and_says_what_it_shows(name):
    text = (FOLDER / f"{name}.py").read_text()
    assert len(text.splitlines()) < MAX_LINES
    for word in ("Shows ", "Expect ", "Your data "):
        assert f"\n{word}" in text
    assert f"python examples/{name}.py" in text


def test_the_index_names_every_example():
    index = (FOLDER / "README.md").read_text()
    assert sorted(re.findall(r"\]\((\w+)\.py\)", index)) == SCRIPTS


def test_every_example_has_a_test_that_runs_it():
    ran = set(re.findall(r'run(?:_apart)?\("(\w+)"\)', Path(__file__).read_text())) - {"name"}
    assert ran == set(SCRIPTS)


@pytest.mark.extended
def test_keras_models(run):
    _, output = run("keras_models")
    teacher, student, file = percents(output)
    assert student == file
    assert min(teacher, student) > 80


@pytest.mark.slow
def test_applications_teacher(run):
    names, output = run("applications_teacher")
    assert min(percents(output)) > 75
    assert names["teacher"].count_params() > 4 * names["student"].count_params()


@pytest.mark.extended
def test_text_classifier(run):
    names, output = run("text_classifier")
    teacher, student = percents(output)
    assert min(teacher, student) > 60  # a guess is right for at most 27 %
    assert names["student"].count_params() < names["teacher"].count_params() / 3


@pytest.mark.extended
def test_tabular_classifier(run):
    assert min(percents(run("tabular_classifier")[1])) > 90


@pytest.mark.extended
def test_unlabelled_images(run):
    names, output = run("unlabelled_images")
    _, alone, some_labels, agreement, no_label, _ = percents(output)
    assert min(some_labels, no_label) > alone + 5
    assert agreement > 85
    assert names["history"]["loss"] == pytest.approx(0.9 * np.array(names["history"]["kd"]))
    assert "kd" in output.split(":")[-1].split()
    assert "dkd" not in output.split(":")[-1].split()


@pytest.mark.extended
def test_frozen_layers(run):
    _, output = run("frozen_layers")
    first, second, _ = output.splitlines()
    assert first.endswith("as before")
    assert second.endswith("changed")
    assert percents(second)[0] > percents(first)[0]


@pytest.mark.extended
def test_onnx_teacher(run):
    pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    names, output = run("onnx_teacher")
    assert min(percents(output)) > 70
    assert sorted(path.name for path in (names["scratch"] / "rows").glob("view*.npy")) == [
        "view0000.part0000.logits.npy",
        "view0001.part0000.logits.npy",
    ]


@pytest.mark.extended
def test_moving_from_keras_distillation(run):
    names, _ = run("moving_from_keras_distillation")
    before, after = names["losses"]
    np.testing.assert_allclose(after, before, rtol=1e-4)
    assert names["difference"] < 1e-5


@pytest.mark.extended
def test_moving_from_keras_io(run):
    names, _ = run("moving_from_keras_io")
    assert names["after"] == pytest.approx(names["before"], rel=1e-4)


@pytest.mark.extended
def test_moving_from_repdistiller(run):
    names, _ = run("moving_from_repdistiller")
    assert names["logs"]["loss"] == pytest.approx(names["total"], rel=1e-4)
    alone = names["methods_from"]("--distill kd -r 0.1 -a 0.9 -b 0")
    assert [(m.name, m.weight) for m in alone["methods"]] == [("kd", 0.9)]
    assert alone["ce_weight"] == 0.1


@pytest.mark.extended
def test_moving_from_torchdistill(run):
    names, _ = run("moving_from_torchdistill")
    assert names["after"] == pytest.approx(names["before"], rel=1e-4)
    no_labels = names["arguments"]({"kwargs": {"temperature": 4.0, "alpha": 0, "beta": None}})
    assert (no_labels["ce_weight"], no_labels["methods"].weight) == (0, 1 / 16)


@pytest.mark.slow
def test_own_images(run):
    names, output = run("own_images")
    assert percents(output.splitlines()[-1])[0] > 50
    assert (names["scratch"] / "run" / "student.keras").is_file()
    assert (names["scratch"] / "run" / "report.html").is_file()


@pytest.fixture
def run_apart(tmp_path):
    """run_apart("name") runs an example that divides the CPU, which a process can do only once."""

    def run_it(name):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "KD_KERAS_CACHE": str(tmp_path)}
        program = [sys.executable, str(FOLDER / f"{name}.py")]
        result = subprocess.run(
            program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run_it


@pytest.mark.slow
def test_two_replicas(run_apart):
    output = run_apart("two_replicas")
    assert output.startswith("2 replicas\n")
    assert min(percents(output)) > 75
