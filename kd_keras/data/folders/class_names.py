"""The class names of a dataset, for a model that has none."""

import os
from pathlib import Path

from kd_keras import data
from kd_keras.data import user_files
from kd_keras.data.folders import folder_layout


def read_class_names(
    name: str, *, data_dir: str | os.PathLike[str] | None = None
) -> tuple[str, ...]:
    """One name for each label. Of a folder, only the names of its folders are read.

    Args:
        name, data_dir: as for `data.load`.

    Raises:
        ValueError, FileNotFoundError: there is no such dataset, or a folder has faults.
    """
    kind, _, location = name.partition(":")
    if kind != "folder" or not location:
        return data.load(name, data_dir=data_dir, tell=lambda note: None).class_names
    path = user_files.readable_path(Path(location).expanduser(), folder_layout.EXPECTED)
    layout = folder_layout.read(user_files.list_files(path), str(path))
    if layout.faults:
        raise ValueError(" ".join(layout.faults))
    return layout.class_names
