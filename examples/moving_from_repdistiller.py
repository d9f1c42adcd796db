"""Moving from RepDistiller: its flags as methods with weights.

Shows      `--distill hint -r 1 -a 0.5 -b 100` and the like as a list of methods; `-r` weighs the
           cross-entropy, `-a` soft targets, `-b` the other method.
Expect     a loss that is the sum of the three terms by these weights.
Your data  replace `x`, `y` and the models. The names of the zoo are those of RepDistiller, such as
           resnet8x4 and wrn_16_2, with the same numbers of parameters.

    python examples/moving_from_repdistiller.py
"""

import argparse

import keras
from sklearn.datasets import load_digits

from kd_keras import Distiller, methods, models

FLAGS, EPOCHS, BATCH = "--distill hint -r 1 -a 0.5 -b 100 --kd_T 4", 1, 64
NAMES = {"kd": None, "hint": "fitnet", "attention": "at", "similarity": "sp", "correlation": "cc"}
NAMES |= {"abound": "ab", "factor": "ft"}  # vid, rkd, pkt, crd, nst, fsp, kdsvd: as here


def methods_from(flags: str) -> dict:
    """The arguments of the Distiller that these flags stand for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--distill", default="kd")
    parser.add_argument("--kd_T", type=float, default=4)
    for flag, name, default in (("-r", "ce", 1), ("-a", "kd", 0), ("-b", "other", 0)):
        parser.add_argument(flag, dest=name, type=float, default=default)
    options = parser.parse_args(flags.split())
    other = NAMES.get(options.distill, options.distill)
    chosen = [methods.get(other, weight=options.other)] if other and options.other else []
    chosen += [methods.get("kd", temperature=options.kd_T, weight=options.kd)] if options.kd else []
    return {"methods": chosen, "ce_weight": options.ce}


keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)  # 1,797 images of 8x8 pixels, 0 to 16, in 10 classes
x = x.reshape(-1, 8, 8, 1).astype("float32") * (255 / 16)  # models of the zoo take 0 to 255
form = {"num_classes": 10, "input_shape": (8, 8, 1)}
teacher = models.get("resnet14", **form)
student = models.get("resnet8", width=0.5, **form)

distiller = Distiller(student, teacher=teacher, **methods_from(FLAGS))
distiller.compile(keras.optimizers.SGD(0.05, momentum=0.9, weight_decay=5e-4))
history = distiller.fit(x, y, epochs=EPOCHS, batch_size=BATCH, verbose=0).history
logs = {name: values[-1] for name, values in history.items()}
total = 1 * logs["ce"] + 0.5 * logs["kd"] + 100 * logs["fitnet"]
print(f"loss {logs['loss']:.4f} = 1 * ce + 0.5 * kd + 100 * fitnet = {total:.4f}")
