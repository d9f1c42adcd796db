"""Python, this package, what it needs and its extras, by the metadata of what is installed."""

import importlib.metadata
import platform
from collections.abc import Iterator

from packaging.requirements import Requirement

from kd_keras.graph import backend
from kd_keras.job.doctor.finding import FINE, MISSING, WRONG, Finding
from kd_keras.job.run_folders import versions

_PACKAGE = "kd-keras"
# For who works on this package; `cuda` is looked at with the devices.
_NOT_SHOWN = ("cuda", "dev", "docs", "test")
_SAME = {"tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly", "tf-nightly-cpu")}


def findings() -> Iterator[Finding]:
    """Versions, requirements that are not met, the backend, and each extra."""
    installed_versions = versions.package_versions()
    yield Finding(
        "Python", FINE, f"{installed_versions['python']}, {platform.platform(terse=True)}"
    )
    yield Finding("kd_keras", FINE, installed_versions["kd_keras"])
    requirements = _requirements()
    for name in (name for name in versions.NAMES if name not in {r.name for r in requirements}):
        if name != "kd_keras":
            yield Finding(name, FINE, installed_versions[name])
    for requirement in requirements:
        version = _version(requirement.name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            text = f"{version or 'not installed'}; expected {requirement.specifier}"
            yield Finding(requirement.name, WRONG, text, f"pip install '{_bare(requirement)}'")
        elif requirement.name in versions.NAMES:
            yield Finding(requirement.name, FINE, version)
    try:
        backend.require_tensorflow()
    except ValueError as error:
        yield Finding("backend", WRONG, str(error), "unset KERAS_BACKEND")
    yield from map(_extra_finding, _extras())


def _requirements(extra_name: str = "") -> list[Requirement]:
    """The requirements of the package, or those that one of its extras adds."""
    try:
        lines = importlib.metadata.requires(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return []  # a checkout that is not installed
    requirements = [Requirement(line) for line in lines]
    if not extra_name:
        return [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    return [
        r
        for r in requirements
        if r.marker
        and r.marker.evaluate({"extra": extra_name})
        and not r.marker.evaluate({"extra": ""})
    ]


def _extras() -> list[str]:
    try:
        names = importlib.metadata.metadata(_PACKAGE).get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return sorted(name for name in names if name not in _NOT_SHOWN)


def _extra_finding(name: str) -> Finding:
    absent_packages = [r.name for r in _requirements(name) if not _is_met(r)]
    if not absent_packages:
        return Finding(f"extra {name}", FINE, "installed")
    text = f"not installed: {', '.join(absent_packages)}"
    return Finding(f"extra {name}", MISSING, text, f"pip install '{_PACKAGE}[{name}]'")


def _is_met(requirement: Requirement) -> bool:
    version = _version(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _version(name: str) -> str | None:
    for distribution in _SAME.get(name, (name,)):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _bare(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"
