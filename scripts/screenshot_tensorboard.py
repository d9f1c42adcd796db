"""Opens a run's logs in TensorBoard, in a headless Chromium, and saves what the page shows as PNG.

    python scripts/screenshot_tensorboard.py --logdir runs/quickstart/logs --out page.png
    python scripts/screenshot_tensorboard.py --logdir … --page images --out images.png

Shows that the curves, pictures and recipes a run logs are there for a person to see. Needs Debian's
`chromium` (apt-get install chromium), which is no dependency of the package. Takes half a minute.
Everything stays on the loopback; what was started is stopped.
"""

import argparse
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

# Not the page "timeseries": it draws its curves on the GPU, which a headless browser lacks.
PAGES = ("scalars", "images", "hparams")


def main() -> None:
    arguments = parse()
    chromium = shutil.which(arguments.chromium)
    if chromium is None:
        sys.exit(f"No {arguments.chromium!r} found; install one with `apt-get install chromium`.")
    with tensorboard(arguments.logdir) as address:
        print("runs:", ", ".join(wait_for_runs(address, arguments.logdir)))
        tags = arguments.tags if arguments.page == "scalars" else ""
        url = f"{address}/#{arguments.page}&_smoothingWeight=0&tagFilter={tags}"
        photograph(chromium, url, arguments.out.resolve(), arguments.size, arguments.seconds)
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--logdir", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("tensorboard.png"))
    parser.add_argument("--page", choices=PAGES, default=PAGES[0])
    parser.add_argument("--tags", default="accuracy", help="a pattern: scalars to show at once")
    parser.add_argument("--size", default="1600,1000", help="width,height in pixels")
    parser.add_argument("--seconds", type=int, default=20, help="of the page's own time")
    parser.add_argument("--chromium", default="chromium", help="its name or path")
    arguments = parser.parse_args()
    if not arguments.logdir.is_dir():
        parser.error(f"--logdir {arguments.logdir} is no folder; train something first.")
    return arguments


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


def wait_for_runs(address: str, logdir: Path, seconds: float = 60.0) -> list[str]:
    """The names of the runs, as soon as the server has read them."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/data/runs") as page:
            if runs := json.load(page):
                return runs
        time.sleep(0.5)
    sys.exit(f"TensorBoard showed no run of {logdir} within {seconds:g} s; are there event files?")


def photograph(chromium: str, url: str, out: Path, size: str, seconds: int) -> None:
    with tempfile.TemporaryDirectory() as profile:
        command = [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", "--hide-scrollbars", f"--user-data-dir={profile}"),
            # The page draws by JavaScript: its clock runs this far before the picture is taken.
            f"--virtual-time-budget={seconds * 1000}",
            *(f"--window-size={size}", f"--screenshot={out}", url),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
    if done.returncode or not out.is_file():
        sys.exit(f"{chromium} took no picture (exit {done.returncode}):\n{done.stderr[-2000:]}")


if __name__ == "__main__":
    main()
