"""Photographs a run's report.html for the documentation: its top, all of it, and on a phone.

    python scripts/screenshot_report.py runs/quickstart/report.html --out docs/images/report

Writes OUT.png (head and first section, on a wide screen), OUT-whole.png (every section, scaled, in
columns), OUT-phone.png (the same at a width of 390 pixels) and OUT-dark.png (the top, dark). Needs
Debian's `chromium`, which is not a dependency of the package. Takes half a minute. Reports that
show images of a dataset that may not be redistributed are refused: make them with
`kdk report RUN --no-images`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import chromium
from PIL import Image

WIDE, PHONE = 1280, 390
MAX_BYTES = 300_000
COLORS = 256  # of the PNG
GAP = 24  # pixels between columns


def main() -> None:
    arguments = parse()
    text = arguments.report.read_text(encoding="utf-8")
    if "tiny_imagenet" in text and "data:image" in text:
        sys.exit("Tiny ImageNet's images may not be published. Use kdk report RUN --no-images.")
    out = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    with chromium.page() as page, tempfile.TemporaryDirectory() as folder:

        def photographs_at(width: int, *, dark: bool = False) -> list[Image.Image]:
            return photographs(page, arguments.report, Path(folder), width, dark=dark)

        wide = photographs_at(WIDE)
        save(in_columns(wide, 3), out.with_name(f"{out.name}-whole.png"), 0.45)
        save(in_columns(photographs_at(PHONE), 6), out.with_name(f"{out.name}-phone.png"), 0.7)
        if not arguments.whole:
            save(stacked(wide[:2]), out.with_name(f"{out.name}.png"), 1)
            dark = photographs_at(WIDE, dark=True)
            save(stacked(dark[:2]), out.with_name(f"{out.name}-dark.png"), 1)
        if page.problems:
            sys.exit("\n".join(page.problems))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("report", type=Path, help="a report.html")
    parser.add_argument("--out", type=Path, required=True, help="path without the ending")
    parser.add_argument("--whole", action="store_true", help="no pictures of the top alone")
    arguments = parser.parse_args()
    if not arguments.report.is_file():
        parser.error(f"{arguments.report} does not exist; write it with `kdk report RUN`.")
    return arguments


def photographs(
    page: chromium.Page, report: Path, folder: Path, width: int, *, dark: bool
) -> list[Image.Image]:
    """The header and each section as pictures of the page's width."""
    page.look(width=width, dark=dark)
    page.open(report.resolve().as_uri())
    overflow = page.evaluate("document.documentElement.scrollWidth") - width
    if overflow > 0:
        sys.exit(f"At {width} pixels the page is {overflow} pixels too wide.")
    count = page.evaluate("document.querySelectorAll('section').length")
    selectors = ["header", *(f"section:nth-of-type({i + 1})" for i in range(count))]
    pictures = []
    for number, selector in enumerate(selectors):
        file = folder / f"{width}-{dark}-{number}.png"
        page.photograph(file, selector=selector, margin=20 if width > 500 else 8)
        pictures.append(Image.open(file).convert("RGB"))
    return pictures


def stacked(pictures: list[Image.Image]) -> Image.Image:
    """Pictures below each other, on the colour of the first one's corner."""
    width, height = pictures[0].width, sum(picture.height for picture in pictures)
    page = Image.new("RGB", (width, height), pictures[0].getpixel((0, 0)))
    top = 0
    for picture in pictures:
        page.paste(picture, (0, top))
        top += picture.height
    return page


def in_columns(pictures: list[Image.Image], count: int) -> Image.Image:
    """One tall page cut into columns of equal height, read from left to right."""
    page = stacked(pictures)
    height = -(-page.height // count)
    sheet = Image.new("RGB", (count * (page.width + GAP) - GAP, height), (128, 128, 128))
    for column in range(count):
        box = (0, column * height, page.width, min(page.height, (column + 1) * height))
        sheet.paste(page.crop(box), (column * (page.width + GAP), 0))
    return sheet


def save(picture: Image.Image, path: Path, scale: float) -> None:
    """Saves a picture, smaller and with fewer colours until it is below `MAX_BYTES`."""
    while True:
        size = (round(picture.width * scale), round(picture.height * scale))
        small = picture.resize(size, Image.Resampling.LANCZOS)
        small.quantize(COLORS, Image.Quantize.MAXCOVERAGE, 2, dither=Image.Dither.NONE).save(
            path, optimize=True
        )
        if path.stat().st_size < MAX_BYTES:
            print(f"{path}: {size[0]}x{size[1]}, {path.stat().st_size:,} bytes")
            return
        scale *= 0.9


if __name__ == "__main__":
    main()
