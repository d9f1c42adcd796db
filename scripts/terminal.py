"""Photographs what a command prints in a terminal of 80 columns; needs Debian's `chromium`.

    python scripts/terminal.py docs/images/runs.png kdk runs

The command runs in a real terminal (a pseudo-terminal), in the folder where you are.
"""

import fcntl
import os
import pty
import struct
import sys
import tempfile
import termios
from collections.abc import Sequence
from pathlib import Path

import chromium
from PIL import Image

COLUMNS, LINES = 80, 50
_PAGE = """<meta charset="utf-8"><style>
body {{ margin: 0; background: #16181d; display: inline-block; }}
pre {{ margin: 14px 18px; color: #e6e6e6; font: 14px/1.35 "DejaVu Sans Mono", monospace; }}
</style><body><pre><code>{code}</code></pre></body>"""


def photograph(command: Sequence[str], out: Path) -> None:
    """Runs a command and saves its prompt, words and colours as a PNG."""
    with tempfile.TemporaryDirectory() as folder, chromium.page() as page:
        file = Path(folder) / "terminal.html"
        file.write_text(as_html(f"$ {' '.join(command)}\n{output_of(command)}"), encoding="utf-8")
        page.look(width=1000, scale=1.5)
        page.open(file.as_uri())
        page.photograph(out, selector="body")
    Image.open(out).convert("RGB").quantize(32, dither=Image.Dither.NONE).save(out, optimize=True)
    print(f"{out}: {out.stat().st_size:,} bytes")


def output_of(command: Sequence[str]) -> str:
    """What a command prints in a terminal, with its control sequences."""
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        os.environ["TERM"] = "xterm-256color"
        os.execvp(command[0], list(command))
    parts = []
    while True:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:  # the child closed its end
            break
        if not part:
            break
        parts.append(part)
    os.waitpid(child, 0)
    return b"".join(parts).decode(errors="replace").replace("\r\n", "\n")


def as_html(text: str) -> str:
    """Text with colours of a terminal as a page."""
    from rich import console
    from rich.text import Text

    with open(os.devnull, "w") as nowhere:
        screen = console.Console(record=True, width=COLUMNS, file=nowhere)
        for line in text.splitlines():  # as a terminal does: cut at its width, not at words
            cut = [line[i : i + COLUMNS] for i in range(0, len(line), COLUMNS)]
            for part in [line] if "\x1b" in line else cut or [""]:
                screen.print(Text.from_ansi(part), overflow="ignore", crop=False)
        return screen.export_html(inline_styles=True, code_format=_PAGE)


if __name__ == "__main__":
    photograph(sys.argv[2:], Path(sys.argv[1]).absolute())
