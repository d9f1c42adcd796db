"""Exports the students of finished runs in every format, and measures each file.

Shows   for each run a table in Markdown, formats down: agreement with the Keras model, accuracy,
        the interval of its change, the largest difference of a probability, milliseconds per
        image, size. OUT keeps the entries of other runs.
On      the validation images of each run's dataset, at most 1,000.
Takes   a minute or two for each run, on two CPU cores.

    python scripts/measure_exports.py RUN...
"""

import json
from pathlib import Path
from typing import Any

import bench_jobs  # beside this file
import click

import kd_keras
from kd_keras import files
from kd_keras.exports import export_targets
from kd_keras.results.terminal.screen import Screen

HEADER = (
    "| file | same class % | top-1 % | its change (95 %) | largest diff. | ms (1) | ms (128) | MB |"
)


@click.command(help=__doc__.splitlines()[0])
@click.argument("runs", nargs=-1, required=True)
@click.option("--calibration-images", default=export_targets.CALIBRATION_IMAGES, show_default=True)
@click.option("--work", default="runs/exports", show_default=True, help="for the files")
@click.option("--out", default="docs/exports.json", show_default=True)
def main(runs: tuple[str, ...], calibration_images: int, work: str, out: str) -> None:
    measured = {}
    for run in runs:
        results = kd_keras.export(
            run,
            formats=[*export_targets.QUANTIZATIONS_BY_FORMAT],
            quantize=export_targets.QUANTIZATIONS,
            out=Path(work) / Path(run).name,
            calibration_images=calibration_images,
            screen=Screen(),
        )
        rows = {"student.keras": results["keras"], **results["files"]}
        entries = {name: without_paths(row) for name, row in rows.items()}
        measured[Path(run).name] = {"machine": bench_jobs.machine(), "files": entries}
        print(f"\n{run}\n\n{table(rows)}\n")
    files.write_json(out, {"runs": earlier(Path(out)) | measured})


def earlier(path: Path) -> dict[str, Any]:
    """The entries of runs that were measured before, by name."""
    return json.loads(path.read_text())["runs"] if path.is_file() else {}


def without_paths(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("path", "model")}


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The rows in Markdown."""
    rule = "|".join(["", " --- ", *[" ---: "] * 7, ""])
    lines = [f"| {' | '.join([f'`{name}`', *cells(row)])} |" for name, row in rows.items()]
    return "\n".join([HEADER, rule, *lines])


def cells(row: dict[str, Any]) -> list[str]:
    times = row["milliseconds_per_image"]
    checked = "agreement" in row
    return [
        f"{100 * row['agreement']:.1f}" if checked else "",
        f"{100 * row['top1']:.1f}",
        f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}" if checked else "",
        f"{row['max_abs_difference']:.1g}" if checked else "",
        f"{times['batch1']:.2f}",
        f"{times['batch128']:.2f}",
        f"{row['megabytes']:.2f}",
    ]


if __name__ == "__main__":
    main()
