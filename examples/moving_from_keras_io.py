"""Moving from the "Knowledge Distillation" example of keras.io: its loss in one line.

Shows      `alpha` and `temperature` of that example's Distiller as arguments of ours, and that both
           give the same loss on the same batch.
Expect     two equal numbers, and then a student trained with them.
Your data  replace `x`, `y` and the two models, which end in logits as in the example.

    python examples/moving_from_keras_io.py
"""

import keras
from keras import layers, ops
from sklearn.datasets import load_digits

from kd_keras import Distiller, methods

ALPHA, TEMPERATURE, EPOCHS, BATCH = 0.1, 10, 5, 64  # those of the example

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)  # 1,797 images of 8x8 pixels, 0 to 16, in 10 classes
x = x.reshape(-1, 8, 8, 1).astype("float32") / 16


def make_model(width: int) -> keras.Model:
    stack = [keras.Input((8, 8, 1)), layers.Conv2D(width, 3, strides=2, padding="same")]
    stack += [layers.LeakyReLU(negative_slope=0.2), layers.Flatten(), layers.Dense(10)]
    return keras.Sequential(stack)


teacher, student = make_model(64), make_model(4)
labels_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
teacher.compile("adam", labels_loss)
teacher.fit(x, y, epochs=EPOCHS, batch_size=BATCH, verbose=0)

# What the example computes, on one batch.
teacher_logits, student_logits = teacher(x[:BATCH]), student(x[:BATCH])
soft = [ops.softmax(logits / TEMPERATURE, axis=1) for logits in (teacher_logits, student_logits)]
distillation_loss = keras.losses.KLDivergence()(*soft) * TEMPERATURE**2
before = float(ALPHA * labels_loss(y[:BATCH], student_logits) + (1 - ALPHA) * distillation_loss)

# The same here. `kd` holds the factor temperature**2.
soft_targets = methods.get("kd", temperature=TEMPERATURE, weight=1 - ALPHA)
distiller = Distiller(student, teacher=teacher, methods=soft_targets, ce_weight=ALPHA)
distiller.compile(keras.optimizers.Adam(), metrics=["accuracy"])  # the losses are known
after = float(distiller.train_on_batch(x[:BATCH], y[:BATCH], return_dict=True)["loss"])
print(f"loss of the first batch: {before:.6f} by keras.io's formula, {after:.6f} by kd_keras")

history = distiller.fit(x, y, epochs=EPOCHS, batch_size=BATCH, verbose=0).history
print("cross-entropy by epoch:", *(f"{value:.2f}" for value in history["ce"]))
print("soft targets by epoch: ", *(f"{value:.2f}" for value in history["kd"]))
