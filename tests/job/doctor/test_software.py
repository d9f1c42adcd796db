import importlib.metadata

import pytest

from kd_keras.job.doctor import software

REQUIRES = [
    "tensorflow<3,>=2",
    "keras<2",
    "no-such-package>=1",
    'numpy>=1; extra == "full"',
    'no-such-extra>=2; extra == "full"',
    'pillow; extra == "small"',
    'pytest; extra == "test"',
]


@pytest.fixture
def findings(monkeypatch):
    """The findings by name for an installed package with the requirements above."""
    extras = {"Provides-Extra": ["full", "small", "test"]}

    class Metadata:
        def get_all(self, name):
            return extras[name]

    monkeypatch.setattr(importlib.metadata, "requires", lambda name: REQUIRES)
    monkeypatch.setattr(importlib.metadata, "metadata", lambda name: Metadata())
    return {finding.name: finding for finding in software.findings()}


def test_a_requirement_that_is_not_met_is_wrong_and_says_what_to_type(findings):
    assert (findings["tensorflow"].state, findings["tensorflow"].remedy) == ("fine", "")
    keras = findings["keras"]
    assert (keras.state, keras.remedy) == ("wrong", "pip install 'keras<2'")
    assert keras.text == f"{importlib.metadata.version('keras')}; expected <2"
    absent = findings["no-such-package"]
    assert (absent.state, absent.text) == ("wrong", "not installed; expected >=1")


def test_an_extra_is_missing_with_the_command_that_installs_it(findings):
    assert findings["extra small"].state == "fine"
    full = findings["extra full"]
    assert (full.state, full.text) == ("missing", "not installed: no-such-extra")
    assert full.remedy == "pip install 'kd-keras[full]'"
    assert "extra test" not in findings


def test_another_backend_is_wrong(monkeypatch):
    monkeypatch.setattr(software.backend, "TENSORFLOW", "another")
    (backend,) = [finding for finding in software.findings() if finding.name == "backend"]
    assert (backend.state, backend.remedy) == ("wrong", "unset KERAS_BACKEND")


def test_a_checkout_that_is_not_installed_has_versions_alone(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", absent)
    monkeypatch.setattr(importlib.metadata, "metadata", absent)
    names = [finding.name for finding in software.findings()]
    assert names == ["Python", "kd_keras", "keras", "tensorflow", "numpy"]
