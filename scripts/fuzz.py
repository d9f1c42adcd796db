"""Runs random broken input through kd_keras and counts how each case ends.

    python scripts/fuzz.py --cases 20000 [--seed 0] [--only recipe,store] [--runs 50]
    python scripts/fuzz.py --minutes 20 --output docs/fuzz.json

Cases are those of tests/fuzz_cases.py, in this process, 1,000 of all kinds at a time; `--minutes`
ends after the 1,000 in which so much time has passed. `--runs` adds whole runs of `kdk train` and
`kdk cache`, each in a process of its own, some with a broken file as the teacher. A fault is any
error but a message, a case of more than 10 seconds of work or one that 2 minutes do not end, or a
run of more than 4 GB or 2 minutes of work. One JSON document has, for each kind, the number of
cases, how they ended and their seconds of work, and the seed of each fault; it is printed, or
written to `--output`. Exit code 1 if there are faults.
"""

import argparse
import collections
import json
import math
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import forked_kdk

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SECONDS, RUN_SECONDS, GIGABYTES = 10, 120, 4.0  # seconds of work, whatever else the machine does
HANG_SECONDS = 120  # seconds after which a case is stopped, whether it works or waits
WAITING = 1200  # seconds after which a run that does not work either has hung
ENDS = ("success", "message", "fault")
# How many cases of 1,000 are of each kind; those that open models cost the most.
SHARES = {
    **{"recipe": 340, "command_line": 340, "image_bytes": 90, "zip_members": 60, "run_folder": 40},
    **{"teacher_cache": 30, "store": 30, "run_scores": 20, "checkpoint": 15, "keras_file": 10},
    **{"data_folder": 5, "saved_model": 10, "onnx_file": 10},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, help="20000, or no limit with --minutes")
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.cases is None:
        options.cases = 20_000 if options.minutes == math.inf else sys.maxsize
    output = options.output and options.output.resolve()
    warnings.simplefilter("ignore")
    only = set(filter(None, options.only.split(",")))
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["KD_KERAS_CACHE"] = f"{scratch}/cache"
        os.chdir(scratch)
        faults = []
        runs = whole_runs(options, Path(scratch), faults)  # first: they fork before TensorFlow runs
        counts = cases(options, only, Path(scratch), faults)
    write(report(options, counts, runs, faults), output)
    sys.exit(bool(faults))


def report(options, counts, runs, faults):
    """What is written: how many cases of each kind there were, how they ended, on what."""
    from kd_keras.job.run_folders import versions

    total = sum((collections.Counter(entry) for entry in counts.values()), collections.Counter())
    return {
        "versions": versions.package_versions(),
        "code": versions.git_revision(),
        "seed": options.seed,
        "total": {name: total[name] for name in ("cases", *ENDS)},
        "kinds": {name: rounded(entry) for name, entry in counts.items()},
        "runs": runs,
        "faults": faults,
    }


def rounded(entry):
    return {name: round(value, 2) for name, value in entry.items()}


def write(document, output):
    text = json.dumps(document, indent=2) + "\n"
    if output is None:
        print(text, end="")
    else:
        output.write_text(text)


def cases(options, only, scratch, faults):
    """Counts by kind: `cases`, how many ended in each of `ENDS`, `seconds` of all, `slowest`."""
    import fuzz_cases

    stub_what_trains()
    signal.signal(signal.SIGALRM, stop_case)
    kinds = [name for name in SHARES if not only or name in only]
    counts = {name: dict.fromkeys(("cases", *ENDS, "seconds", "slowest"), 0) for name in kinds}
    start, thousand = time.monotonic(), sum(SHARES.values())
    for first in range(0, options.cases, thousand):
        for name in kinds:
            ends = min(first + thousand, options.cases)
            numbers = (n * SHARES[name] // thousand for n in (first, ends))
            for number in range(*numbers):
                case = fuzz_cases.CASES[name], f"{options.seed}-{name}-{number}"
                end, seconds = one_case(fuzz_cases.outcome, *case, scratch, faults)
                entry = counts[name]
                entry["cases"] += 1
                entry[end] += 1
                entry["seconds"] += seconds
                entry["slowest"] = max(entry["slowest"], seconds)
        minutes = (time.monotonic() - start) / 60
        total = sum(entry["cases"] for entry in counts.values())
        print(f"{total:,} cases, {minutes:.1f} minutes", file=sys.stderr, flush=True)
        if minutes > options.minutes:
            break
    return counts


class HangError(BaseException):
    """A case takes more than `HANG_SECONDS`; no `except Exception` takes it for its own."""


def stop_case(*_):
    raise HangError


def one_case(outcome, case, seed, scratch, faults):
    """How a case ends and its seconds of work; a fault is added to `faults`."""
    start = time.process_time()
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        end = outcome(case, random.Random(seed), scratch / "case")
    except (Exception, HangError) as error:
        end = "fault"
        faults.append({"seed": seed, "error": repr(error)[:300], "at": places(error)})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = time.process_time() - start
    if seconds > SECONDS and end != "fault":
        end = "fault"
        faults.append({"seed": seed, "error": f"it took {seconds:.0f} s"})
    return end, seconds


def stub_what_trains():
    """Commands check their recipe and train nothing."""
    from kd_keras.cli import quiet
    from kd_keras.job import train
    from kd_keras.job.cache import make_cache
    from kd_keras.job.checks import precheck

    def checked(recipe, **options):
        precheck.check_recipe(recipe)
        raise ValueError("the recipe is right; nothing is run here")

    train.run = make_cache.run = checked
    quiet.import_tensorflow = lambda: None


def places(error):
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(f.filename).name}:{f.lineno}" for f in frames][-4:]


def whole_runs(options, scratch, faults):
    """Whole commands in processes of their own: exit codes 0 and 2 alone are right."""
    if not options.runs:
        return {}
    from kd_keras.cli import kdk, quiet

    quiet.import_tensorflow()
    teachers = whole_teachers(scratch)
    ends = collections.Counter()
    for number in range(options.runs):
        seed = f"{options.seed}-run-{number}"
        words = run_words(random.Random(seed), scratch, number, teachers)
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            one_run(kdk, words, scratch / f"out-{number}")
        status, usage = waited(child, start)
        text = (scratch / f"out-{number}").read_text(errors="replace")
        gigabytes = usage.ru_maxrss / 1e6
        end = {0: "success", 2: "message"}.get(status, "fault")
        if "Traceback" in text or gigabytes > GIGABYTES:
            end = "fault"
        if end == "fault":
            facts = {"words": words, "code": status, "gigabytes": round(gigabytes, 2)}
            faults.append({"seed": seed, **facts, "output": text[-400:]})
        ends[end] += 1
        command_text = " ".join(word[:60] for word in words if str(scratch) not in word)
        print(seed, end, command_text, file=sys.stderr, flush=True)
    return dict(ends)


def waited(child, start):
    while True:
        process_id, status, usage = os.wait4(child, os.WNOHANG)
        if process_id:
            return os.waitstatus_to_exitcode(status), usage
        if time.monotonic() - start > WAITING:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.05)


def one_run(kdk, words, output):
    resource.setrlimit(resource.RLIMIT_CPU, (RUN_SECONDS, RUN_SECONDS + 5))
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        forked_kdk.run_and_exit(kdk, words)


def whole_teachers(scratch):
    """The files of a teacher of digits in each format, by name; made by a process of its own."""
    child = os.fork()
    if child == 0:
        import broken_files as broken

        teachers = {
            "teacher.keras": {"teacher.keras": broken.model(".keras", (8, 8, 1), 10)},
            "": broken.saved_model((8, 8, 1), 10),
            "teacher.onnx": broken.onnx((8, 8, 1), 10),
        }
        with (scratch / "teachers.json").open("w") as file:
            json.dump({t: {n: b.hex() for n, b in c.items()} for t, c in teachers.items()}, file)
        os._exit(0)
    os.waitpid(child, 0)
    teachers = json.loads((scratch / "teachers.json").read_text())
    return {t: {n: bytes.fromhex(b) for n, b in c.items()} for t, c in teachers.items()}


def run_words(rng, scratch, number, teachers):
    """A short training with options that may be anything, or with a teacher of a broken file."""
    import broken_files as broken
    import fuzz_cases
    import fuzz_models

    data = ["--recipe", "plain_cnn", "--dataset", "digits", "--image-size", "8"]
    words = ["train", *data, "--batch-size", "512", "--epochs", "1", "--teacher-epochs", "1"]
    words += ["--no-timing", "--student", "plain_cnn4:width=0.25", "--method", "kd"]
    words += ["--allow-weak-teacher", "--run", f"{scratch}/runs/{number}"]
    words += ["--export-dir", f"{scratch}/exports"]
    if rng.random() < 0.3:
        file = rng.choice(sorted(teachers))
        folder = fuzz_models.spoilt_folder(rng, scratch / f"teacher-{number}", teachers[file])
        teacher = ["--teacher", str(folder / file)]
        if file.endswith(".onnx"):
            return ["cache", *data, *teacher, "--views", "1", "--out", f"{scratch}/rows-{number}"]
        return [*words, *teacher]
    words += ["--teacher", "plain_cnn4:width=0.25"]
    for _ in range(rng.randint(0, 2)):
        words += [f"--{rng.choice(fuzz_cases.RUN_OPTIONS)}", rng.choice(broken.WORDS)]
    return words


if __name__ == "__main__":
    main()
