"""Whether the HDF5 library can read a file: a damaged one may keep it in a loop or crash it.

The library is C code, which neither Ctrl-C nor an exception stops. So another process reads the
file first, with a limit of processor time.
"""

import subprocess
import sys
from pathlib import Path

_SECONDS = 30  # of processor time; an undamaged file takes less than one
_READ = """
import sys
path, seconds = sys.argv[1], int(sys.argv[2])
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
except ImportError:  # Windows
    pass
import h5py
def read(name, part):
    dict(part.attrs)
    if isinstance(part, h5py.Dataset) and part.size:
        part[(0,) * part.ndim]
with h5py.File(path) as file:
    read("", file)
    file.visititems(read)
"""


def require_readable(path: Path) -> None:
    """Raises ValueError if reading the file does not end or ends the process that reads it.

    If the library reports an error, nothing is raised here: opening the file raises it.
    """
    words = [sys.executable, "-c", _READ, str(path), str(_SECONDS)]
    if subprocess.run(words, capture_output=True).returncode < 0:
        raise ValueError(
            f"{path} keeps the HDF5 library in a loop or crashes it; expected one written by "
            "`model.save('NAME.h5')`. The file is damaged: copy it again."
        )
