"""A classifier of tables: a wide network teaches a small one.

Shows      that the Distiller takes rows of numbers, two classes, class weights and a teacher with
           one sigmoid output.
Expect     about equal accuracies: a student of 70 numbers is enough for this table.
Your data  replace `x`, (N, columns) float, and `y`, (N,) int, the class of each row, from 0.

    python examples/tabular_classifier.py
"""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_breast_cancer

from kd_keras import Distiller, methods

EPOCHS, BATCH = 20, 32
COSTS = {0: 2, 1: 1}  # a malignant case counts twice

keras.utils.set_random_seed(0)
x, y = load_breast_cancer(return_X_y=True)  # 569 rows of 30 measurements; 0 malignant, 1 benign
order = np.random.default_rng(0).permutation(len(y))
x, y = x[order].astype("float32"), y[order]
train, test = (x[:300], y[:300]), (x[300:], y[300:])

normalization = layers.Normalization()
normalization.adapt(train[0])


def make_model(name: str, hidden: int, outputs: int, activation: str | None) -> keras.Model:
    stack = [keras.Input((x.shape[1],)), normalization, layers.Dense(hidden, activation="relu")]
    return keras.Sequential([*stack, layers.Dense(outputs, activation=activation)], name=name)


def distilled(teacher: keras.Model | None) -> keras.Model:
    student = make_model("student", hidden=2, outputs=2, activation=None)  # logits of two classes
    soft_targets = methods.get("kd", temperature=2) if teacher else []
    distiller = Distiller(student, teacher=teacher, methods=soft_targets)
    distiller.compile(keras.optimizers.Adam(0.01))
    distiller.fit(*train, class_weight=COSTS, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    return student


teacher = make_model("teacher", hidden=256, outputs=1, activation="sigmoid")
teacher.compile("adam", loss="binary_crossentropy")
teacher.fit(*train, class_weight=COSTS, epochs=EPOCHS, batch_size=BATCH, verbose=0)

answers = {
    "teacher": teacher.predict(test[0], verbose=0)[:, 0] > 0.5,
    "student alone": distilled(None).predict(test[0], verbose=0).argmax(-1),
    "student distilled": distilled(teacher).predict(test[0], verbose=0).argmax(-1),
}
for name, answer in answers.items():
    print(f"{name}: {np.mean(answer == test[1]):.1%}")
