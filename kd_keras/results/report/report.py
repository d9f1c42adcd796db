"""Writes `report.html` into a run folder, with its plots as PNG and their numbers as CSV."""

import os
from pathlib import Path

from kd_keras.results.page import page
from kd_keras.results.page.page_elements import Section
from kd_keras.results.report import (
    calibration_section,
    classes_section,
    curves_section,
    exports_section,
    finished_run,
    headline,
    images_section,
    labels_section,
    models_section,
    recipe_section,
    teaching_section,
)
from kd_keras.results.report.finished_run import FinishedRun

NAME = "report.html"
FOLDER = "report"  # within the run folder, for PNG and CSV


def report(run: str | os.PathLike[str], *, images: bool = True) -> Path:
    """Writes the report of a finished run: one HTML file that opens offline.

    Args:
        run: the run folder.
        images: whether to show validation images. They are then part of the file.

    Returns:
        Path of `report.html` in the run folder. Each plot is in its folder `report/` too, as PNG,
        with its numbers as CSV.

    Raises:
        FileNotFoundError: there is no such folder, or it holds no run.
        ValueError: the run is not finished, or a file of it is damaged.
        OSError: the report cannot be written; an earlier one stays.
    """
    run_data = finished_run.read(Path(run).expanduser())
    path = run_data.folder / NAME
    plots = run_data.folder / FOLDER
    page.write(
        path,
        title=f"Distillation report: {run_data.folder.name}",
        subtitle=_subtitle(run_data),
        head=headline.elements(run_data),
        sections=[
            models_section.section(run_data, plots),
            curves_section.section(run_data, plots),
            *_of_classes(run_data, plots),
            teaching_section.section(run_data, plots),
            images_section.section(run_data, is_included=images),
            exports_section.section(run_data),
            recipe_section.section(run_data),
        ],
        footer="The numbers are in results.json; those of each plot are a CSV file in report/.",
    )
    return path


def _of_classes(run: FinishedRun, plots: Path) -> list[Section]:
    """Class by class, and whether probabilities are right, which is about one class an image."""
    if run.multi_label:
        return [labels_section.section(run, plots)]
    return [classes_section.section(run, plots), calibration_section.section(run, plots)]


def _subtitle(run: FinishedRun) -> str:
    words = [run.data.dataset if run.data else run.recipe.get("dataset")]
    words.append(run.results.get("data", {}).get("summary"))
    return ": ".join(str(word) for word in words if word)
