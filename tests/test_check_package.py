"""The check of wheel and source distribution."""

import importlib.util
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

PATH = Path(__file__).parent.parent / "scripts" / "check_package.py"
spec = importlib.util.spec_from_file_location("check_package", PATH)
check_package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_package)

PACKAGE = ["kd_keras/__init__.py", "kd_keras/py.typed", "kd_keras/job/recipe/built_in/a.toml"]
FILES = [*PACKAGE, "tests/test_a.py", "README.md"]
METADATA = "\n".join(["Name: kd-keras", *check_package.EXPECTED]) + "\n\n# kd_keras\n"


@pytest.fixture
def faults(tmp_path):
    """From the files of the two archives to the faults that are found."""

    def of(wheel=PACKAGE, source=FILES, metadata=METADATA, filler=0):
        with zipfile.ZipFile(tmp_path / "a-1-py3-none-any.whl", "w") as archive:
            for name in wheel:
                archive.writestr(name, b"0" * filler)
            archive.writestr("a-1.dist-info/METADATA", metadata)
        with tarfile.open(tmp_path / "a-1.tar.gz", "w:gz") as archive:
            for name in source:
                archive.addfile(tarfile.TarInfo(f"a-1/{name}"), io.BytesIO())
        return check_package.main(tmp_path, FILES)

    return of


def test_complete_archives_have_no_faults(faults):
    assert faults() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wheel": PACKAGE[:2]}, "lacks kd_keras/job/recipe/built_in/a.toml"),
        ({"wheel": [*PACKAGE, "tests/test_a.py"]}, "holds tests/test_a.py"),
        ({"source": [*PACKAGE, "README.md"]}, "lacks tests/test_a.py. Add it to MANIFEST.in"),
        ({"metadata": METADATA.replace("-Expression", "")}, "no line 'License-Expression: Apache"),
        ({"filler": 400_000}, "expected less than 1,000,000"),
    ],
)
def test_a_fault_is_named(faults, change, message):
    (fault,) = faults(**change)
    assert message in fault


def test_a_folder_without_archives_is_refused(tmp_path):
    (fault,) = check_package.main(tmp_path, FILES)
    assert "0 wheels and 0 .tar.gz; expected one of each" in fault
