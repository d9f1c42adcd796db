"""Moving from keras.distillation: the same loss, the same steps, the same student.

Shows      which arguments of the one are which of the other. docs/moving.md has the whole table.
Expect     equal losses, and students whose weights differ by rounding.
Your data  replace `x`, `y` and the two models.

    python examples/moving_from_keras_distillation.py
"""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

from kd_keras import Distiller, methods

TEMPERATURE, STUDENT_LOSS_WEIGHT, EPOCHS, BATCH = 3.0, 0.5, 2, 64

x, y = load_digits(return_X_y=True)  # 1,797 rows of 64 pixels, 0 to 16, in 10 classes
x = x.astype("float32") / 16


def make_model(hidden: int) -> keras.Model:  # ends in logits: no softmax
    stack = [keras.Input((64,)), layers.Dense(hidden, activation="relu"), layers.Dense(10)]
    return keras.Sequential(stack)


keras.utils.set_random_seed(0)
teacher, student = make_model(64), make_model(8)
their_student = keras.models.clone_model(student)
their_student.set_weights(student.get_weights())
labels_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
teacher.compile("adam", labels_loss)
teacher.fit(x, y, epochs=EPOCHS, verbose=0)
divergence = keras.losses.KLDivergence()  # an object: the default, a text, is another loss
before = keras.distillation.Distiller(
    teacher,  # the teacher comes first
    their_student,
    keras.distillation.LogitsDistillation(temperature=TEMPERATURE, loss=divergence),
    student_loss_weight=STUDENT_LOSS_WEIGHT,
)
before.compile(keras.optimizers.SGD(0.1), loss=labels_loss, metrics=["accuracy"])
losses_before = before.fit(x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)

after = Distiller(
    student,  # the student comes first; all else has a name
    teacher=teacher,
    methods=methods.get("kd", temperature=TEMPERATURE, weight=1 - STUDENT_LOSS_WEIGHT),
    ce_weight=STUDENT_LOSS_WEIGHT,
)
after.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"])  # the loss is known
losses_after = after.fit(x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)

pairs = zip(their_student.get_weights(), student.get_weights(), strict=True)
difference = max(float(np.max(np.abs(a - b))) for a, b in pairs)
losses = losses_before.history["loss"], losses_after.history["loss"]
for name, values in zip(("keras.distillation", "kd_keras"), losses, strict=True):
    print(f"loss by epoch, {name}:", *(f"{value:.4f}" for value in values))
print(f"largest difference of the students' weights: {difference:.0e}")
