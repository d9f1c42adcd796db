"""What several machines send each other in a training step, and how long a question to all takes.

Shows   bytes on the loopback interface per step of two processes, beside 2 * 4 bytes a trained
        weight (each process sends its gradient once); milliseconds of `machines.wait_for_all`.
On      a student of dense layers, method kd with a teacher of the same size, float32, 40 steps.
Takes   half a minute. Other programs' loopback traffic counts too, so use a network of its own:

    unshare -n sh -c 'ip link set lo up; python scripts/bench_machines.py'
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

STEPS, BATCH, WIDTH, QUESTIONS = 40, 16, 1024, 200


def main() -> None:
    if "TF_CONFIG" in os.environ:
        measure()
        return
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    workers = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    configs = [
        json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
        for index in range(2)
    ]
    running = [
        subprocess.Popen([sys.executable, __file__], env={**os.environ, "TF_CONFIG": config})
        for config in configs
    ]
    codes = [process.wait() for process in running]
    sys.exit(max(codes))


def measure() -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow as tf
    from keras import layers

    from kd_keras import Distiller, methods
    from kd_keras.distill import machines

    strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def net(name: str) -> keras.Model:
        hidden = [layers.Dense(WIDTH, activation="relu") for _ in range(2)]
        return keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10)], name=name)

    with strategy.scope():
        distiller = Distiller(net("student"), teacher=net("teacher"), methods=methods.get("kd"))
        distiller.compile(keras.optimizers.SGD(0.01))
    x, y = np.ones((BATCH * STEPS, 64), "float32"), np.zeros(BATCH * STEPS, "int32")
    distiller.fit(x[:BATCH], y[:BATCH], batch_size=BATCH, verbose=0)
    before = loopback_bytes()
    distiller.fit(x, y, batch_size=BATCH, verbose=0)
    sent = (loopback_bytes() - before) / STEPS
    machines.wait_for_all(strategy)
    start = time.perf_counter()
    for _ in range(QUESTIONS):
        machines.wait_for_all(strategy)
    seconds = (time.perf_counter() - start) / QUESTIONS
    if machines.is_chief(strategy):
        weights = distiller.student.count_params()
        figures = {
            "trained_weights": weights,
            "bytes_per_step": round(sent),
            "ratio_to_8_bytes_a_weight": round(sent / (8 * weights), 3),
            "milliseconds_of_a_question": round(1000 * seconds, 2),
        }
        print(json.dumps(figures, indent=2))


def loopback_bytes() -> int:
    """Bytes received on the loopback interface since the system started."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    (line,) = [line for line in lines if line.strip().startswith("lo:")]
    return int(line.split()[1])


if __name__ == "__main__":
    main()
