"""Runs random broken input through kd_keras and counts how each case ends.

    python scripts/fuzz.py --cases 20000 [--seed 0] [--only recipe,store] [--runs 50]

Cases are those of tests/fuzz_cases.py, in this process; `--runs` adds whole runs of `kdk train` and
`kdk cache`, each in a process of its own, some with a broken file as the teacher. A fault is any
error but a message, a case of more than 10 seconds of work, or a run of more than 4 GB or 2
minutes of work. Prints one JSON document with the seed of each fault; exit code 1 if there are any.
"""

import argparse
import collections
import json
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

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SECONDS, RUN_SECONDS, GIGABYTES = 10, 120, 4.0  # seconds of work, whatever else the machine does
WAITING = 1200  # seconds after which a run that does not work either has hung
# How many cases of 1,000 are of each kind; those that open models cost the most.
SHARES = {
    **{"recipe": 340, "command_line": 340, "image_bytes": 90, "zip_members": 60, "run_folder": 40},
    **{"teacher_cache": 30, "store": 30, "run_scores": 20, "checkpoint": 15, "keras_file": 10},
    **{"data_folder": 5, "saved_model": 10, "onnx_file": 10},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    only = set(filter(None, given.only.split(",")))
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["KD_KERAS_CACHE"] = f"{scratch}/cache"
        os.chdir(scratch)
        faults = []
        runs = whole_runs(given, Path(scratch), faults)  # first: they fork before TensorFlow runs
        counts = cases(given, only, Path(scratch), faults)
    slowest = {name: round(times[-1], 2) for name, times in SLOWEST.items()}
    report = {"seed": given.seed, "cases": counts, "runs": runs, "slowest_seconds": slowest}
    print(json.dumps({**report, "faults": faults}, indent=2))
    sys.exit(bool(faults))


SLOWEST = {}


def cases(given, only, scratch, faults):
    import fuzz_cases

    stub_what_trains()
    counts = {}
    for name, share in SHARES.items():
        if only and name not in only:
            continue
        ends = collections.Counter()
        for number in range(given.cases * share // sum(SHARES.values())):
            seed, start = f"{given.seed}-{name}-{number}", time.process_time()
            try:
                end = fuzz_cases.outcome(
                    fuzz_cases.CASES[name], random.Random(seed), scratch / "case"
                )
            except Exception as error:
                end = "fault"
                faults.append({"seed": seed, "error": repr(error)[:300], "at": places(error)})
            seconds = time.process_time() - start
            SLOWEST[name] = sorted([*SLOWEST.get(name, []), seconds])[-1:]
            if seconds > SECONDS:
                end = "fault"
                faults.append({"seed": seed, "error": f"it took {seconds:.0f} s"})
            ends[end] += 1
        counts[name] = dict(ends)
        print(name, counts[name], file=sys.stderr, flush=True)
    return counts


def stub_what_trains():
    """Commands check their recipe and train nothing."""
    from kd_keras.cli import quiet
    from kd_keras.job import precheck, train
    from kd_keras.job.cache import make_cache

    def checked(recipe, **options):
        precheck.check_recipe(recipe)
        raise ValueError("the recipe is right; nothing is run here")

    train.run = make_cache.run = checked
    quiet.import_tensorflow = lambda: None


def places(error):
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(f.filename).name}:{f.lineno}" for f in frames][-4:]


def whole_runs(given, scratch, faults):
    """Whole commands in processes of their own: exit codes 0 and 2 alone are right."""
    if not given.runs:
        return {}
    from kd_keras.cli import kdk, quiet

    quiet.import_tensorflow()
    teachers = whole_teachers(scratch)
    ends = collections.Counter()
    for number in range(given.runs):
        seed = f"{given.seed}-run-{number}"
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
        shown = " ".join(word[:60] for word in words if str(scratch) not in word)
        print(seed, end, shown, file=sys.stderr, flush=True)
    return dict(ends)


def waited(child, start):
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage
        if time.monotonic() - start > WAITING:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.05)


def one_run(kdk, words, output):
    code = 98
    resource.setrlimit(resource.RLIMIT_CPU, (RUN_SECONDS, RUN_SECONDS + 5))
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            kdk.main(words, prog_name="kdk")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


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

    data = ["--recipe", "seed", "--dataset", "digits", "--image-size", "8"]
    words = ["train", *data, "--batch-size", "512", "--epochs", "1", "--teacher-epochs", "1"]
    words += ["--no-timing", "--student", "seed_student:width=0.25", "--method", "kd"]
    words += ["--allow-weak-teacher", "--run", f"{scratch}/runs/{number}"]
    words += ["--export-dir", f"{scratch}/exports"]
    if rng.random() < 0.3:
        file = rng.choice(sorted(teachers))
        folder = fuzz_models.spoilt_folder(rng, scratch / f"teacher-{number}", teachers[file])
        teacher = ["--teacher", str(folder / file)]
        if file.endswith(".onnx"):
            return ["cache", *data, *teacher, "--views", "1", "--out", f"{scratch}/rows-{number}"]
        return [*words, *teacher]
    words += ["--teacher", "seed_student:width=0.25"]
    for _ in range(rng.randint(0, 2)):
        words += [f"--{rng.choice(fuzz_cases.RUN_OPTIONS)}", rng.choice(broken.WORDS)]
    return words


if __name__ == "__main__":
    main()
