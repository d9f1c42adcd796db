import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kd_keras.cli import termination

pytestmark = pytest.mark.usefixtures("interruptible")
ROOT = Path(__file__).parents[2]
MESSAGE = "kdk: stopped by {}. Run the same command again to continue.\n"
# Each program prints "ready", and is sent a signal then.
AT_START = """
import sys, time
class Slow:  # in place of the modules of kdk, which are imported in no time on a fast machine
    def find_spec(self, name, *rest):
        if name == "kd_keras.cli":
            print("ready", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow())
from kd_keras.__main__ import main
main()
"""
IN_A_COMMAND = """
import sys, time, types
from kd_keras.cli import kdk, quiet, termination
termination.PATIENCE = 0.1
quiet.import_tensorflow = lambda: None
def run(recipe, **options):
    print("ready", flush=True)
    {}
sys.modules["kd_keras.job.train"] = types.SimpleNamespace(run=run)
kdk(["train", "--recipe", "quickstart", "--json"])
"""
WAITING = "time.sleep(60)"
# What TensorFlow does with exceptions of code that it calls: it loses them or makes others.
TRACED = """
    path = "/site-packages/tensorflow/python/framework/func_graph.py"
    import os
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # as while TensorFlow is imported
    code = "try: time.sleep(60)\\nexcept BaseException: print('crash')"
    exec(compile(code, path, "exec"))
"""
SWALLOWED = """
    try:
        time.sleep(60)
    except BaseException:
        time.sleep(60)
"""
# What a training does with a signal that a long step would let wait.
NOT_WAITED_FOR = """
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    time.sleep(0.3)
    signal.getsignal(signal.SIGTERM).end_process(signal.SIGTERM)
"""
CHANGED = """
    try:
        time.sleep(60)
    except KeyboardInterrupt as error:
        raise SystemError("returned a result with an exception set") from error
"""


def test_a_signal_is_raised_in_the_block_and_the_handler_is_put_back():
    def wait(number):
        with termination.raise_on_signals():
            os.kill(os.getpid(), number)
            time.sleep(10)

    for number, error in ((signal.SIGTERM, termination.Terminated), (signal.SIGINT, BaseException)):
        before = signal.getsignal(number)
        with pytest.raises(error):
            wait(number)
        assert signal.getsignal(number) is before


def test_nothing_changes_where_the_signal_is_ignored_or_in_another_thread():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with termination.raise_on_signals():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    handlers = []

    def enter():
        with termination.raise_on_signals():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert handlers == [signal.SIG_DFL]


@pytest.mark.parametrize(
    ("program", "number"),
    [
        (AT_START, signal.SIGINT),
        (IN_A_COMMAND.format(WAITING), signal.SIGTERM),
        (IN_A_COMMAND.format(TRACED), signal.SIGINT),
        (IN_A_COMMAND.format(SWALLOWED), signal.SIGINT),
        (IN_A_COMMAND.format(NOT_WAITED_FOR), signal.SIGTERM),
        (IN_A_COMMAND.format(CHANGED), signal.SIGTERM),
    ],
    ids=["start", "command", "traced", "swallowed", "not waited for", "changed"],
)
def test_a_command_ends_with_a_message_and_a_code(program, number):
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ready = process.stdout if program is AT_START else process.stderr  # of --json
    assert ready.readline() == "ready\n"
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    name, code = {signal.SIGINT: ("Ctrl-C", 130), signal.SIGTERM: ("SIGTERM", 143)}[number]
    assert (process.returncode, stdout, stderr) == (code, "", MESSAGE.format(name))
