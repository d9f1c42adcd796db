"""Opens a run's logs in TensorBoard, in a headless Chromium; checks the pages and saves them.

    python scripts/screenshot_tensorboard.py runs/quickstart/logs --out docs/images/tensorboard

Writes OUT-PAGE.png of the pages "timeseries" (its curves of accuracy), "images" (augmented ones),
"hparams" and "graphs" (the student's layers). Fails if the server does not list the run's models
and curves, if accuracy is not the first group of curves, or if a page does not show what it should.
Needs Debian's `chromium` (apt-get install chromium), which is not a dependency of the package.
Takes a minute or two. Everything stays on the loopback; what was started is stopped.
"""

import argparse
import contextlib
import functools
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chromium
from PIL import Image

SECONDS = 300  # to wait for the server or a page, also on a busy machine
COLORS = 64  # of the PNG
WIDTH, HEIGHT = 1280, 800
TAGS = ("accuracy/top1", "accuracy/top5", "loss/total", "learning_rate")
#: All text of a page, also inside of elements with a shadow tree.
TEXT = """(() => {
  const walk = node => [...node.childNodes].map(child =>
    child.nodeType == 3 ? child.textContent
    : ["STYLE", "SCRIPT", "TEMPLATE"].includes(child.nodeName) ? ""
    : (child.shadowRoot ? walk(child.shadowRoot) : "") + walk(child)).join("\\n");
  return walk(document.body).replace(/\\s+/g, " ");
})()"""


def main() -> None:
    arguments = parse()
    out = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    with tensorboard(arguments.logdir) as address:
        check_server(address, arguments.logdir)
        with chromium.page(flags=("--disable-3d-apis",)) as page:  # curves as SVG, not by a GPU
            page.look(width=WIDTH, height=HEIGHT)
            for name, query, words in pages(arguments.run):
                page.open(f"{address}/?{query}#{name}")
                wait_for(f"{words} on the page {name}", functools.partial(shows, page, words))
                time.sleep(arguments.settle)
                save(page, out.with_name(f"{out.name}-{name}.png"))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("logdir", type=Path, help="the folder logs/ of a run")
    parser.add_argument("--out", type=Path, default=Path("tensorboard"), help="path without ending")
    parser.add_argument("--run", default="student/train", help="the run whose graph is shown")
    parser.add_argument("--settle", type=float, default=8.0, help="seconds until a page is drawn")
    arguments = parser.parse_args()
    if not arguments.logdir.is_dir():
        parser.error(f"logdir {arguments.logdir} is not a folder; train something first.")
    return arguments


def pages(run: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """(page, what follows in its address, words that it must show)."""
    return [
        ("timeseries", "smoothing=0", ("accuracy", "top1", "top5", "student")),
        ("images", "page=images", ("augmented images",)),
        ("hparams", "page=hparams", ("model", "methods", "epochs", "top1", "resnet8")),
        ("graphs", "page=graphs", ("Graph", "stem", "stage1")),
    ]


@contextlib.contextmanager
def tensorboard(logdir: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # load_fast starts a second process, which a terminated first one would leave behind.
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir)),
            *("--host", "127.0.0.1", "--port", str(port), "--load_fast=false"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def check_server(address: str, logdir: Path) -> None:
    """Ends the script unless the server lists the models and curves that the run logged."""
    models = {path.relative_to(logdir).as_posix() for path in logdir.glob("*/train")}
    wait_for(f"the runs {models}", lambda: models <= {*answer(f"{address}/data/runs")})
    tags = answer(f"{address}/data/plugin/scalars/tags")
    for run in sorted(models):
        groups = sorted(tag for tag in tags[run] if tag in TAGS)
        if set(groups) != set(TAGS):
            sys.exit(f"{run} has the curves {sorted(tags[run])}; expected {TAGS} among them.")
        first = min(tags[run])
        if not first.startswith("accuracy/"):
            sys.exit(f"the first curve of {run} is {first}; expected one of accuracy/.")
        print(f"{run}: {', '.join(sorted(tags[run]))}")


def answer(url: str) -> Any:
    with urllib.request.urlopen(url) as page:
        return json.load(page)


def shows(page: chromium.Page, words: tuple[str, ...]) -> bool:
    text = page.evaluate(TEXT) or ""
    return all(word in text for word in words)


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.5)
    sys.exit(f"TensorBoard did not show {what} within {SECONDS} s.")


def save(page: chromium.Page, path: Path) -> None:
    page.photograph(path)
    picture = Image.open(path).convert("RGB")
    picture.quantize(COLORS, Image.Quantize.MAXCOVERAGE, 2, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    print(f"{path}: {picture.width}x{picture.height}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
