"""A process that checks SavedModels as a server would: TensorFlow alone, serving from a session."""

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

# From a SavedModel's folder and uint8 images (N, H, W, C) to float32 logits (N, classes) of all
# images and those of the first ones sent as files.
Serve = Callable[[Path, np.ndarray], tuple[np.ndarray, np.ndarray]]


@contextlib.contextmanager
def fresh_process() -> Iterator[Serve]:
    """Starts the process, which imports TensorFlow while this one goes on; yields its `Serve`.

    It serves any number of SavedModels in turn and ends with the block. `Serve` raises ValueError
    where a SavedModel cannot be loaded or served.
    """
    with tempfile.TemporaryFile() as messages:
        process = _Process(messages)
        try:
            yield process.serve
        finally:
            process.end()


class _Process:
    """The program `session.py`, started again for the next SavedModel where one has ended it."""

    def __init__(self, messages: IO[bytes]) -> None:
        self._messages = messages  # a file, since a pipe that nobody reads fills up
        self._running = self._started()

    def serve(self, folder: Path, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._running.poll() is not None:
            self.end()
            self._running = self._started()
        try:
            self._send(folder, images)
            return self._received(), self._received()
        except (BrokenPipeError, EOFError) as error:
            raise ValueError(
                f"The SavedModel does not serve in a fresh process: {self._reason()}. Expected a "
                "model of TensorFlow operations alone; replace layers that call Python or read "
                "files."
            ) from error

    def end(self) -> None:
        self._running.kill()
        self._running.wait()
        for pipe in filter(None, (self._running.stdin, self._running.stdout)):
            with contextlib.suppress(BrokenPipeError):  # of a request that was not sent whole
                pipe.close()

    def _started(self) -> subprocess.Popen[bytes]:
        self._messages.seek(0)
        self._messages.truncate()  # what an earlier one said is not this one's reason
        return subprocess.Popen(
            [sys.executable, "-P", str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            # This process may hold all of the accelerator's memory.
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def _send(self, folder: Path, images: np.ndarray) -> None:
        assert self._running.stdin is not None
        header = json.dumps({"folder": str(folder), "shape": images.shape})
        self._running.stdin.write(f"{header}\n".encode())
        self._running.stdin.write(np.ascontiguousarray(images, np.uint8).data)
        self._running.stdin.flush()

    def _received(self) -> np.ndarray:
        assert self._running.stdout is not None
        header = self._running.stdout.readline()
        if not header:
            raise EOFError
        shape = json.loads(header)
        size = 4 * int(np.prod(shape))
        values = self._running.stdout.read(size)
        if len(values) < size:
            raise EOFError
        return np.frombuffer(values, np.float32).reshape(shape)

    def _reason(self) -> str:
        """The first line of the exception that ended the process."""
        code = self._running.wait()
        self._messages.seek(0)
        text = self._messages.read().decode(errors="replace")
        text = re.sub(r": Graph execution error:\s+", ": ", text)  # the cause is on the next line
        exceptions = re.findall(r"^[\w.]+(?:Error|Exception|Interrupt)\b.*", text, re.MULTILINE)
        return exceptions[-1].rstrip(".") if exceptions else f"it ended with code {code}"
