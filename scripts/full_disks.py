"""Lets each writer of kdk meet a full disk, a read-only one and a folder that is removed.

Each case is a real command in a process of its own, whose disk is a tmpfs of 48 MB (this needs
root). When the command is about to write the file of the case, the disk is filled to its last
block, made read-only, or loses the folder of the file. Right is exit code 2 and one message that
names a path of that disk and what to do, without a traceback; or exit code 0, where the run can do
without the file. What was there before stays as it was, and nothing half written is left.

    python scripts/full_disks.py --output docs/full_disks.json
    python scripts/full_disks.py --fault full --only results.json --only student.keras

`--without-root` takes a folder as the disk, and a limit of the size of files (RLIMIT_FSIZE) instead
of a full one. Started again with the same --output, it goes on where it was stopped. Exit code 1 if
a case is not right.
"""

import contextlib
import fnmatch
import functools
import importlib
import itertools
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import disk_report
import forked_kdk
from disk_report import FAULTS
from disk_writers import WRITERS, Writer, preparation

from kd_keras import files

SECONDS = 180
_REMEDY = re.compile(
    r"(Free|Allow|Make|Move|Choose|Check|Leave|Restore|Run|run it again|elsewhere)\b"
)
_IGNORED = ("running.json", "events.out.*", ".filler")  # written all the time
_WITHOUT_OVERRIDE = "FULL_DISKS_WITHOUT_OVERRIDE"


@click.command()
@click.option("--only", multiple=True, metavar="WRITER", help="by default, every writer")
@click.option("--fault", "faults", multiple=True, type=click.Choice(FAULTS), default=FAULTS)
@click.option("--without-root", is_flag=True, help="no tmpfs")
@click.option("--output", type=Path, help="JSON file to write")
def main(
    only: Sequence[str], faults: Sequence[str], without_root: bool, output: Path | None
) -> None:
    unknown = set(only) - {writer.name for writer in WRITERS}
    if unknown:
        raise click.BadParameter(f"no writer {sorted(unknown)}; there are {sorted(_names())}")
    _let_modes_count()
    writers = [writer for writer in WRITERS if not only or writer.name in only]
    output = output and output.resolve()  # the working directory changes
    results = disk_report.earlier(output)
    completed = {(case["writer"], case["fault"]) for case in results}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        disk = scratch / "disk"
        _environment(scratch, disk)
        with _prepared(scratch, disk, writers) as run:
            for fault, writer in itertools.product(faults, writers):
                if (writer.name, fault) in completed:
                    continue
                with _disk(disk, scratch / "base", without_root):
                    results.append(_case(writer, fault, disk, scratch, run, without_root))
                print(json.dumps(results[-1]), file=sys.stderr, flush=True)
                disk_report.write(output, results)
    disk_report.show(results)
    sys.exit(any(case["wrong"] for case in results))


def _names() -> list[str]:
    return [writer.name for writer in WRITERS]


def _let_modes_count() -> None:
    """Starts this program again without the right of root to write read-only folders."""
    if os.geteuid() == 0 and _WITHOUT_OVERRIDE not in os.environ:
        os.environ[_WITHOUT_OVERRIDE] = "1"
        drop = "--bounding-set=-dac_override"
        os.execvp("setpriv", ["setpriv", drop, sys.executable, *sys.argv])


def _environment(scratch: Path, disk: Path) -> None:
    for folder in (disk, scratch / "tmp"):
        folder.mkdir()
    os.environ |= {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KD_KERAS_CACHE": str(disk / "cache"),
        "TMPDIR": str(scratch / "tmp"),
    }
    tempfile.tempdir = None


@contextlib.contextmanager
def _prepared(scratch: Path, disk: Path, writers: Sequence[Writer]) -> Iterator[Callable[..., Any]]:
    """Makes the files that the cases start from; yields what runs a command on the disk."""
    os.chdir(scratch)
    from kd_keras.cli import kdk, quiet
    from kd_keras.exports import process, saved_model
    from kd_keras.job import train

    quiet.import_tensorflow()  # nothing of it runs here, since processes are forked
    with process.fresh_process() as serve:
        for module in (saved_model, train):
            module.fresh_process = lambda: contextlib.nullcontext(serve)
        run = functools.partial(_forked, kdk)
        for command in preparation(writers):
            code, text = run(command.format(disk=disk).split(), lambda: None)
            if code:
                raise SystemExit(f"{command}: exit code {code}\n{text}")
        shutil.copytree(disk, scratch / "base", symlinks=True)
        yield run


@contextlib.contextmanager
def _disk(disk: Path, base: Path, without_root: bool) -> Iterator[None]:
    shutil.rmtree(disk, ignore_errors=True)
    disk.mkdir(exist_ok=True)
    if not without_root:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk], check=True)
    try:
        shutil.copytree(base, disk, symlinks=True, dirs_exist_ok=True)
        yield
    finally:
        _set_modes(disk, writable=True)
        if not without_root:
            subprocess.run(["umount", "-l", disk], check=True)


def _case(
    writer: Writer, fault: str, disk: Path, scratch: Path, run: Any, without_root: bool
) -> dict[str, Any]:
    for pattern in writer.lacks:
        for path in disk.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    snapshot = scratch / "before.json"
    snapshot.unlink(missing_ok=True)

    def strike(target: Path) -> None:
        gone = target.parent if fault == "removed" else None
        snapshot.write_text(json.dumps(_hashes(disk, but=gone)))
        if fault == "removed":
            shutil.rmtree(target.parent, ignore_errors=True)
        elif fault == "read-only":
            _set_modes(disk, writable=False)
        elif without_root:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        else:
            _fill(disk / ".filler")

    words = writer.command.format(disk=disk).split()
    code, text = run(words, lambda: at(writer.moment, disk, strike))
    (disk / ".filler").unlink(missing_ok=True)
    case = {"writer": writer.name, "fault": fault, "exit_code": code}
    case["message"] = text[text.rfind("kdk: ") :].strip().replace(str(scratch), "") if code else ""
    if not snapshot.exists():
        return {**case, "wrong": f"the moment never came: {text[-500:]}"}
    before, after = json.loads(snapshot.read_text()), _hashes(disk)
    lost = [name for name in before if before[name] != after.get(name)] if code else []
    # After its folder is removed, a run goes on until it looks, and may finish an export.
    right = (*writer.removes, *(("exports/*",) if fault == "removed" else ()))
    lost = [name for name in lost if not any(fnmatch.fnmatch(name, part) for part in right)]
    half = [str(path.name) for path in disk.rglob(".partial.*")] if fault == "full" else []
    return {**case, "wrong": _wrong(case, text, writer, disk, lost, half)}


def _wrong(
    case: dict[str, Any], text: str, writer: Writer, disk: Path, lost: list[str], half: list[str]
) -> str:
    code, allowed = case["exit_code"], {2, *writer.other_codes.get(case["fault"], ())}
    if "Traceback" in text or code not in allowed:
        return f"exit code {code}: {text[-1500:]}"
    if code == 2 and f"/{disk.name}/" not in case["message"]:
        return "the message names no path"
    if code == 2 and not _REMEDY.search(case["message"]):
        return "the message does not say what to do"
    if lost or half:
        return f"lost or changed: {lost}; left half written: {half}"
    return ""


def at(moment: str, disk: Path, strike: Callable[[Path], None]) -> None:
    """Has `strike` called once, with the path, just before the moment.

    Args:
        moment: pattern of a path that `files.atomic_write` writes, or MODULE:FUNCTION>PATH for
            writers that do not use it.
        disk: where PATH is.
        strike: what happens then.
    """
    pending = [strike]
    function, _, path = moment.partition(">")
    module, _, name = function.partition(":")
    owner: Any = importlib.import_module(module) if name else files
    *parents, name = (name or "atomic_write").split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    usual = getattr(owner, name)

    @functools.wraps(usual)
    def struck(*args: Any, **options: Any) -> Any:
        target = disk / path if path else Path(args[0])
        if pending and (path or fnmatch.fnmatch(str(target), moment)):
            pending.pop()(target)
        return usual(*args, **options)

    setattr(owner, name, struck)


def _forked(kdk: Any, words: Sequence[str], prepare: Callable[[], None]) -> tuple[int, str]:
    """Exit code and output of a command in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        forked_kdk.run_and_exit(kdk, words, prepare)
    os.close(writing)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(SECONDS)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    signal.alarm(0)
    return os.waitstatus_to_exitcode(status), text


def _hashes(disk: Path, *, but: Path | None = None) -> dict[str, str]:
    """The SHA-256 of each file, by path, but for what a command writes all the time."""
    return {
        str(path.relative_to(disk)): files.sha256(path)
        for path in sorted(disk.rglob("*"))
        if path.is_file()
        and ".partial" not in str(path.relative_to(disk))
        and not any(fnmatch.fnmatch(path.name, pattern) for pattern in _IGNORED)
        and (but is None or not path.is_relative_to(but))
    }


def _fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def _set_modes(disk: Path, *, writable: bool) -> None:
    """Makes all folders and files of the disk writable, or not."""
    for folder, _, names in os.walk(disk):
        os.chmod(folder, 0o755 if writable else 0o555)
        for name in names:
            with contextlib.suppress(OSError):
                os.chmod(Path(folder, name), 0o644 if writable else 0o444)


if __name__ == "__main__":
    main()
