"""Moving from torchdistill: the KDLoss of its configuration files.

Shows      that `alpha` weighs the cross-entropy there, and `beta`, or else 1 - alpha, soft targets.
Expect     equal losses of a batch, by its formula and by kd_keras, and then a trained student.
Your data  replace `x`, `y` and the models, and CRITERION by yours: yaml.safe_load reads the file.

    python examples/moving_from_torchdistill.py
"""

import keras
from keras import layers, ops
from sklearn.datasets import load_digits

from kd_keras import Distiller, methods

CRITERION = {"key": "KDLoss", "kwargs": {"temperature": 4.0, "alpha": 0.3, "beta": None}}
EPOCHS, BATCH = 4, 64


def arguments(criterion: dict) -> dict:
    """What the Distiller is given in place of a KDLoss."""
    settings = criterion["kwargs"]
    alpha, beta, temperature = settings["alpha"] or 0, settings["beta"], settings["temperature"]
    weight = 1 - alpha if beta is None else beta
    if alpha == 0:  # then KDLoss leaves out both beta and the factor temperature**2
        weight = 1 / temperature**2
    soft_targets = methods.get("kd", temperature=temperature, weight=weight)
    return {"methods": soft_targets, "ce_weight": alpha}


def make_model(hidden: int) -> keras.Model:
    stack = [keras.Input((64,)), layers.Dense(hidden, activation="relu"), layers.Dense(10)]
    return keras.Sequential(stack)


keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)  # 1,797 rows of 64 pixels, 0 to 16, in 10 classes
x = x.astype("float32") / 16
teacher, student = make_model(64), make_model(8)
plain = Distiller(teacher)  # without a teacher it is plain training
plain.compile(keras.optimizers.Adam())
plain.fit(x, y, epochs=EPOCHS, batch_size=BATCH, verbose=0)

# KDLoss with reduction "batchmean", on one batch: soft targets summed over classes.
alpha, T = CRITERION["kwargs"]["alpha"], CRITERION["kwargs"]["temperature"]
hard = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y[:BATCH], student(x[:BATCH]))
log_p, log_q = (ops.log_softmax(model(x[:BATCH]) / T) for model in (teacher, student))
soft = ops.mean(ops.sum(ops.exp(log_p) * (log_p - log_q), axis=1))
before = float(alpha * hard + (1 - alpha) * T**2 * soft)

distiller = Distiller(student, teacher=teacher, **arguments(CRITERION))
distiller.compile(keras.optimizers.SGD(0.1, momentum=0.9), metrics=["accuracy"])
after = float(distiller.train_on_batch(x[:BATCH], y[:BATCH], return_dict=True)["loss"])
print(f"loss of the first batch: {before:.6f} by KDLoss's formula, {after:.6f} by kd_keras")
history = distiller.fit(x, y, epochs=EPOCHS, batch_size=BATCH, verbose=0).history
print("accuracy by epoch:", *(f"{value:.1%}" for value in history["accuracy"]))
