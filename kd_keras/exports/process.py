"""Runs SavedModels in a fresh process, from a TensorFlow session, as a server does."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

PROGRAM = Path(__file__).with_name("session.py")

# Serves a SavedModel: from its folder and uint8 images (N, H, W, C) to the logits, float32
# (N, classes), of all images, and to the logits of the first ones sent as files.
Serve = Callable[[Path, np.ndarray], tuple[np.ndarray, np.ndarray]]


@contextlib.contextmanager
def fresh_process() -> Iterator[Serve]:
    """Starts the process and yields its `Serve`; TensorFlow is imported there in the background.

    The process serves any number of SavedModels, one after the other, and ends with the block.
    `Serve` raises ValueError if a SavedModel cannot be loaded or served.
    """
    with tempfile.TemporaryFile() as messages:
        process = _Process(messages)
        try:
            yield process.serve
        finally:
            process.end()


class _Process:
    """Runs `session.py`; if a SavedModel crashes it, starts it again for the next one."""

    def __init__(self, messages: IO[bytes]) -> None:
        self._messages = messages  # a file, since a pipe that is not read fills up and blocks
        self._program = self._start()

    def serve(self, folder: Path, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._program.poll() is not None:
            self.end()
            self._program = self._start()
        try:
            self._send(folder, images)
            return self._receive(), self._receive()
        except (BrokenPipeError, EOFError) as error:
            raise ValueError(
                f"The SavedModel does not serve in a fresh process: {self._reason()}. Expected a "
                "model of TensorFlow operations only. Replace layers that call Python or read "
                "files."
            ) from error

    def end(self) -> None:
        self._program.kill()
        self._program.wait()
        for pipe in filter(None, (self._program.stdin, self._program.stdout)):
            with contextlib.suppress(BrokenPipeError):  # part of a request is still in the pipe
                pipe.close()

    def _start(self) -> subprocess.Popen[bytes]:
        self._messages.seek(0)
        self._messages.truncate()  # removes the messages of an earlier process
        return subprocess.Popen(
            [sys.executable, "-P", str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            # No GPU there: this process may hold all of the GPU's memory.
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def _send(self, folder: Path, images: np.ndarray) -> None:
        assert self._program.stdin is not None
        header = json.dumps({"folder": str(folder), "shape": images.shape})
        self._program.stdin.write(f"{header}\n".encode())
        self._program.stdin.write(np.ascontiguousarray(images, np.uint8).data)
        self._program.stdin.flush()

    def _receive(self) -> np.ndarray:
        assert self._program.stdout is not None
        header = self._program.stdout.readline()
        if not header:
            raise EOFError
        shape = json.loads(header)
        size = 4 * int(np.prod(shape))
        values = self._program.stdout.read(size)
        if len(values) < size:
            raise EOFError
        return np.frombuffer(values, np.float32).reshape(shape)

    def _reason(self) -> str:
        """The first line of the exception that ended the process."""
        code = self._program.wait()
        self._messages.seek(0)
        text = self._messages.read().decode(errors="replace")
        text = re.sub(r": Graph execution error:\s+", ": ", text)  # the cause is on the next line
        exceptions = re.findall(r"^[\w.]+(?:Error|Exception|Interrupt)\b.*", text, re.MULTILINE)
        return exceptions[-1].rstrip(".") if exceptions else f"it ended with code {code}"
