"""Class names that a user gives: a list, or a text file with one a line."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def read(class_names: str | Path | Sequence[str]) -> tuple[str, ...]:
    """The names in the order of a model's outputs.

    Args:
        class_names: the names, or a text file in UTF-8 with one a line.

    Raises:
        FileNotFoundError, ValueError: no such file, no text, or not two or more different names.
    """
    if not isinstance(class_names, (str, Path)):
        names = tuple(map(str, class_names))
        source = "class_names"
    else:
        path = Path(class_names).expanduser()
        if not path.is_file():
            raise FileNotFoundError(
                f"class names file {path} does not exist; expected a text file with one name a "
                "line, in the order of the model's outputs. Check the path."
            )
        source = str(path)
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path} is not UTF-8 text ({error.reason}); expected one class name a line."
            ) from error
        names = tuple(line.strip() for line in lines if line.strip())
    repeated_names = [name for name, times in Counter(names).items() if times > 1]
    if len(names) < 2 or repeated_names:
        problem = (
            f"the name {repeated_names[0]!r} more than once"
            if repeated_names
            else f"{len(names)} names"
        )
        raise ValueError(f"{source} has {problem}; expected two or more different class names.")
    return names
