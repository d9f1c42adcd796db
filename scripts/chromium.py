"""Drives a headless Chromium over a pipe: pages as PNG at any width, dark or light, and as PDF.

Needs Debian's `chromium` (apt-get install chromium), and nothing of Python but its own library.
"""

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--remote-debugging-pipe"),
)
# The protocol's pipes are the file descriptors 3 and 4.
_START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)


class Page:
    """An open page of a browser; `chromium.page()` makes one."""

    def __init__(self, to_browser: Any, from_browser: Any):
        self._out, self._in, self._number = to_browser, from_browser, 0
        target = self._ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._ask("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session = attached["sessionId"]
        self.problems: list[str] = []  # what the page wrote to its console
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **arguments: Any) -> Any:
        """The result of a command of the Chrome DevTools Protocol."""
        return self._ask(method, arguments, self._session)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, which may be a promise."""
        parameters = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        return self.ask("Runtime.evaluate", **parameters)["result"].get("value")

    def look(self, *, width: int, height: int = 900, dark: bool = False, scale: float = 1) -> None:
        """Sets the window's size in CSS pixels, its pixels for each of these, and the colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale}
        self.ask("Emulation.setDeviceMetricsOverride", **size, mobile=width < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Opens a page and waits until it is there."""
        self.ask("Page.navigate", url=url)
        while self.evaluate("document.readyState") != "complete":
            pass

    def photograph(self, out: Path, *, selector: str = "html", margin: int = 0) -> None:
        """Saves the element, by default the whole page, as a PNG, with what is around it."""
        box = self.evaluate(
            f"(r => [r.x + scrollX, r.y + scrollY, r.width, r.height])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        x, y, width, height = box
        clip = {"x": x - margin, "y": y - margin, "scale": 1}
        clip |= {"width": width + 2 * margin, "height": height + 2 * margin}
        shot = self.ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        out.write_bytes(base64.b64decode(shot["data"]))

    def print(self, out: Path) -> None:
        """Saves the page as a PDF on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True}
        pdf = self.ask("Page.printToPDF", printBackground=False, **paper)
        out.write_bytes(base64.b64decode(pdf["data"]))

    def _ask(self, method: str, arguments: dict[str, Any], session: str | None = None) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": arguments}
        message |= {"sessionId": session} if session else {}
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.problems.append(json.dumps(answer["params"])[:500])

    def _read(self) -> Any:
        text = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("Chromium ended; start it by hand to see why.")
            text += byte
        return json.loads(text)


@contextlib.contextmanager
def page(program: str = "chromium", *, flags: Sequence[str] = ()) -> Iterator[Page]:
    """A page of a new headless browser, which ends with the block; `flags` are of Chromium."""
    path = shutil.which(program)
    if path is None:
        sys.exit(f"No {program!r} found; install one with `apt-get install chromium`.")
    (child_in, to_browser), (from_browser, child_out) = _pipe(), _pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [
                *(sys.executable, "-c", _START, str(child_in), str(child_out)),
                *(path, *_FLAGS, *flags, f"--user-data-dir={profile}"),
            ],
            pass_fds=(child_in, child_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(child_in)
        os.close(child_out)
        try:
            with os.fdopen(to_browser, "wb") as out, os.fdopen(from_browser, "rb") as answers:
                yield Page(out, answers)
        finally:
            browser.terminate()
            browser.wait(timeout=20)


def _pipe() -> tuple[int, int]:
    """The two ends of a pipe, whose numbers are none of those that the browser needs."""
    ends = os.pipe()
    read, write = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return read, write
