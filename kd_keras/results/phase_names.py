"""What a person calls the phases of a run; files and TensorBoard's runs are named by the phase."""

_ALONE = "baseline"


def shown(phase: str) -> str:
    """A phase's name on screen: "student alone" for "baseline", "student 2" for "student-2"."""
    name, _, number = phase.partition("-")
    return " ".join(filter(None, ["student alone" if name == _ALONE else name, number]))
