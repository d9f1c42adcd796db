import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import kd_keras
from kd_keras.cli import kdk
from kd_keras.job.run_folders import versions

ROOT = Path(__file__).parents[2]


def test_help_names_every_command():
    result = CliRunner().invoke(kdk, ["--help"])
    assert result.exit_code == 0
    for name in kdk.list_commands(None):
        assert f"\n  {name} " in result.output
        assert CliRunner().invoke(kdk, [name, "--help"]).exit_code == 0


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from kd_keras.cli import kdk\n"
        "kdk(['--help'], standalone_mode=False)\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'pydantic', 'rich'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Commands:" in result.stdout


@pytest.mark.parametrize("command", kdk.list_commands(None))
def test_the_help_of_a_command_does_without_tensorflow(command):
    code = (
        "import sys\n"
        "from kd_keras.cli import kdk\n"
        f"kdk([{command!r}, '--help'], standalone_mode=False)\n"
        "sys.exit(', '.join(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules))) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_python_m_kd_keras_is_kdk_and_its_version_names_what_it_runs_on():
    code = (
        "import runpy, sys\n"
        "sys.argv = ['kd_keras', '--version']\n"
        "try:\n"
        "    runpy.run_module('kd_keras', run_name='__main__')\n"
        "finally:\n"
        "    print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    version = importlib.metadata.version
    assert result.stdout.splitlines() == [
        f"kdk, version {kd_keras.__version__}",
        f"Keras {version('keras')}",
        f"TensorFlow {version('tensorflow')}",
        f"Python {platform.python_version()}",
        "[]",
    ]


def test_a_tensorflow_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setitem(versions._DISTRIBUTIONS, "tensorflow", ("no-such-distribution",))
    assert "TensorFlow not installed" in CliRunner().invoke(kdk, ["--version"]).output


def test_an_unknown_command_names_the_nearest():
    result = CliRunner().invoke(kdk, ["trian"])
    assert result.exit_code == 2
    names = ", ".join(sorted(kdk.list_commands(None)))
    assert result.stderr.startswith(f"kdk: command is 'trian'; expected one of: {names}.")
    assert "Did you mean 'train'? Run `kdk --help`." in result.stderr
