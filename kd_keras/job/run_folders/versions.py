"""The versions of this package and of what it runs on, from metadata, without importing them."""

import platform
import subprocess
from pathlib import Path

# The names that a distribution is installed under.
_DISTRIBUTIONS = {
    "kd_keras": ("kd-keras",),
    "keras": ("keras",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly", "tf-nightly-cpu"),
    "numpy": ("numpy",),
}


#: Names in `package_versions` of packages that others need to know.
NAMES = tuple(_DISTRIBUTIONS)


def package_versions() -> dict[str, str]:
    """Versions by name: kd_keras, keras, tensorflow, numpy, python."""
    versions = {name: _version(names) for name, names in _DISTRIBUTIONS.items()}
    return {**versions, "python": platform.python_version()}


def git_revision() -> str:
    """The git revision that the package lies in, with "-changed" if files differ; "" if in none."""
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty=-changed"]
    is_tracked = ["git", "-C", str(folder), "ls-files", "--error-unmatch", __file__]
    try:
        subprocess.run(is_tracked, capture_output=True, check=True, timeout=10)
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def _version(distributions: tuple[str, ...]) -> str:
    import importlib.metadata  # takes as long as the rest of `kdk --help`

    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"
