"""Kills one of two processes that train together, starts both again, and compares the ends.

Shows   seconds until the other process ended after the kill, and its message; whether weights and
        logs after resuming equal those of a training without interruption, to the bit.
On      a student with dropout and batch norms, method kd, batches of 7 that the processes share as
        4 and 3, three epochs of four steps, a checkpoint after each step.
Takes   a minute on two idle CPU cores.

    python scripts/torture_machines.py
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

EPOCHS, STEPS, BATCH, KILLED_AT = 3, 4, 7, 6


def main() -> None:
    if "TF_CONFIG" in os.environ:
        train(Path(sys.argv[1]), int(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, codes, _ = run(folder / "whole", 0)
        assert codes == [0, 0], codes
        seconds, codes, message = run(folder / "killed", KILLED_AT)
        assert codes[1] == -signal.SIGKILL, codes
        assert codes[0] not in (0, -signal.SIGKILL), codes
        print(f"the first process ended {seconds:.0f} s after the second was killed: {message}")
        _, codes, _ = run(folder / "killed", 0)
        assert codes == [0, 0], codes
        expected, resumed = (dict(np.load(folder / n / "end.npz")) for n in ("whole", "killed"))
        equal = [key for key in expected if np.array_equal(expected[key], resumed[key])]
        differing = sorted(set(expected) - set(equal))
        print(f"{len(equal)} of {len(expected)} arrays are equal to the bit; others: {differing}")
        sys.exit(bool(differing))


def run(folder: Path, killed_at: int) -> tuple[float, list[int], str]:
    """Seconds between the ends of the processes, their exit codes, the first one's last line."""
    folder.mkdir(exist_ok=True)
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    running = []
    for index in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        command = [sys.executable, __file__, str(folder), str(killed_at)]
        environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
        with (folder / f"{index}.txt").open("w") as log:
            running.append(subprocess.Popen(command, env=environment, stderr=log))
    running[1].wait()
    start = time.monotonic()
    running[0].wait()
    lines = (folder / "0.txt").read_text().splitlines()
    codes = [process.returncode for process in running]
    if killed_at == 0 and any(codes):
        print("\n".join(lines[-30:]), file=sys.stderr)
    return time.monotonic() - start, codes, lines[-1] if lines else ""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def train(folder: Path, killed_at: int) -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    from keras import layers

    from kd_keras import Distiller, methods
    from kd_keras.data import pipeline
    from kd_keras.data.augmentation import light
    from kd_keras.data.stores.store import Split
    from kd_keras.distill import machines
    from kd_keras.distill.callbacks.checkpoint import Checkpoint
    from kd_keras.job.hardware import devices

    strategy = devices.get("cpu:1")

    def net(name: str, width: int, seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        x = inputs = keras.Input((8, 8, 3))
        x = layers.Conv2D(width, 3)(layers.Rescaling(1 / 255)(x))
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
        return keras.Model(inputs, layers.Dense(5)(x), name=name)

    with strategy.scope():
        student, teacher = net("student", 4, 0), net("teacher", 6, 1)
        distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
        distiller.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    rng, count = np.random.default_rng(0), BATCH * STEPS
    images = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    split = Split(images, rng.integers(0, 5, count).astype("int32"), np.arange(count))
    policy = light(crop_padding=1, flip=True)
    plan = pipeline.BatchPlan(split, batch_size=BATCH, seed=0, policy=policy)

    class Kill(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            self.steps += 1
            if self.steps == killed_at and machines.process_index(strategy) == 1:
                os.kill(os.getpid(), signal.SIGKILL)

    checkpoint = Checkpoint(folder / "checkpoints", minutes=0)
    skipped = checkpoint.skipped
    first = checkpoint.first_epoch * STEPS
    batches = machines.distribute_batches(
        strategy,
        lambda places, parts: plan.dataset(
            first, EPOCHS * STEPS, dropped=skipped, shards=places, num_shards=parts
        ),
    )
    with machines.explain_lost_machine(strategy), checkpoint:
        distiller.fit(
            batches,
            initial_epoch=checkpoint.first_epoch,
            epochs=EPOCHS,
            steps_per_epoch=STEPS,
            validation_data=pipeline.evaluation(split, batch_size=5),
            verbose=0,
            callbacks=[checkpoint, Kill()],
        )
    logs = {name: np.array(values) for name, values in checkpoint.histories["model"].items()}
    weights = {f"weight {n}": v.numpy() for n, v in enumerate(distiller.student.variables)}
    machines.chief_only(strategy, lambda: np.savez(folder / "end.npz", **logs, **weights))


if __name__ == "__main__":
    main()
