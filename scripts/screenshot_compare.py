"""Trains the quickstart with two methods and three seeds, and photographs their comparison.

    python scripts/screenshot_compare.py --out docs/images

Data: scikit-learn's digits. Budget: the recipe quickstart (8 epochs; teacher 15), six runs with
their baselines, about a minute each on 2 CPU cores; runs that are finished in ./runs are not
trained again. Writes compare-terminal.png (80 columns), compare.png (the page, 1280 pixels wide),
compare-phone.png (390, dark) and runs.png. Needs Debian's `chromium`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import chromium
import screenshot_report as pictures
import terminal

METHODS = {"kd": "kd:temperature=4,weight=0.9", "lskd": "lskd:temperature=2,weight=9,ce_weight=0.1"}
SEEDS = (0, 1, 2)
WIDE, PHONE = 1280, 390


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    out = parser.parse_args().out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    names = [f"{method}-{seed}" for method in METHODS for seed in SEEDS]
    for name in names:
        if not (Path("runs") / name / "results.json").is_file():
            train(name)
    with tempfile.TemporaryDirectory() as folder:
        html = Path(folder) / "comparison.html"
        subprocess.run(["kdk", "compare", *names, "--html", html, "-q"], check=True)
        photograph(html, out)
    terminal.photograph(["kdk", "compare", *names], out / "compare-terminal.png")
    terminal.photograph(["kdk", "runs"], out / "runs.png")


def train(name: str) -> None:
    method, _, seed = name.rpartition("-")
    command = ["kdk", "train", "--recipe", "quickstart", "--baseline", "--seed", seed]
    subprocess.run([*command, "--method", METHODS[method], "--run", name, "-q"], check=True)


def photograph(html: Path, out: Path) -> None:
    """Saves the page wide and light, and as narrow as a phone and dark."""
    with chromium.page() as page:
        wide = pictures.photographs(page, html, html.parent, WIDE, dark=False)
        pictures.save(pictures.in_columns(wide, 2), out / "compare.png", 0.6)
        phone = pictures.photographs(page, html, html.parent, PHONE, dark=True)
        pictures.save(pictures.in_columns(phone, 4), out / "compare-phone.png", 0.7)
        if page.problems:
            sys.exit("\n".join(page.problems))


if __name__ == "__main__":
    main()
