"""The program `kdk`, also as `python -m kd_keras`."""

import os
import signal
import sys
from types import FrameType

_NAMES = {signal.SIGINT: b"Ctrl-C", signal.SIGTERM: b"SIGTERM"}


def main() -> None:
    """Runs `kdk`. A signal while its modules are imported ends it with a message."""
    for number in _NAMES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from kd_keras.cli import kdk

    try:
        kdk(prog_name="kdk")
    except OSError as error:  # of --help; commands translate their errors
        print(f"kdk: {error.strerror}, so no output. Send it elsewhere.", file=sys.stderr)
        sys.exit(2)


def _end(number: int, frame: FrameType | None) -> None:
    """Ends the process as `cli.termination` does, which is not imported yet."""
    name = _NAMES[signal.Signals(number)]
    os.write(2, b"kdk: stopped by " + name + b". Run the same command again to continue.\n")
    os._exit(128 + number)  # as shells report it


_end.is_of_start = True  # type: ignore[attr-defined]

if __name__ == "__main__":
    main()
