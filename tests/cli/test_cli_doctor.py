import json

import pytest
from click.testing import CliRunner

from kd_keras.cli import kdk
from kd_keras.job.doctor import data_files, software
from kd_keras.job.doctor.finding import Finding


@pytest.fixture
def doctor(tmp_path, monkeypatch):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data_files, "_network", list)
    return lambda *arguments: CliRunner().invoke(kdk, ["doctor", *arguments])


def test_optional_things_may_be_missing(doctor):
    result = doctor("--json")
    findings = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert findings["tiny_imagenet"]["state"] == "missing"
    assert findings["precision"]["text"].startswith("auto is ")
    assert {"Python", "keras", "devices", "memory", "cache folder", "caches"} <= set(findings)


def test_where_nothing_trains_the_exit_code_is_2(doctor, monkeypatch):
    wrong = Finding("keras", "wrong", "2.0; expected >=3", "pip install 'keras>=3'")
    monkeypatch.setattr(software, "findings", lambda: [wrong])
    result = doctor("-q")
    assert result.exit_code == 2
    assert "kdk train cannot run here: fix keras." in result.stdout
