"""Few labels, many images: the teacher says what it sees in the images without a label.

Shows      a student that learns from the labels that are known and from the teacher on all
           images, `compile(ignore_class=-1)`; and one that gets no label at all, `fit(images)`.
Expect     a student of all images that is better than the same student of the few labelled images.
Your data  replace `x`, `y` and `test`; -1 marks images without a label. Methods that need the label
           of every image are refused; the example names those that need none.

    python examples/unlabelled_images.py
"""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

from kd_keras import Distiller, methods

LABELLED, EPOCHS, BATCH = 100, 8, 32

x, y = load_digits(return_X_y=True)  # 1,797 images of 8x8 pixels, 0 to 16, in 10 classes
x = x.reshape(-1, 8, 8, 1).astype("float32") / 16
x, test = x[:1300], (x[1300:], y[1300:])
y = np.where(np.arange(len(x)) < LABELLED, y[: len(x)], -1)  # the others are unknown


def make_model(name: str, width: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 1))
    maps = layers.Conv2D(width, 3, padding="same", activation="relu")(images)
    maps = layers.Conv2D(2 * width, 3, strides=2, padding="same", activation="relu")(maps)
    return keras.Model(images, layers.Dense(10)(layers.Flatten()(maps)), name=name)


def accuracy(model: keras.Model) -> float:
    return float(np.mean(model.predict(test[0], verbose=0).argmax(-1) == test[1]))


teacher, alone = make_model("teacher", width=16), make_model("student", width=2)
for model in (teacher, alone):
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x[:LABELLED], y[:LABELLED], epochs=4 * EPOCHS, batch_size=BATCH // 2, verbose=0)
print(f"teacher, {LABELLED} labelled images: {accuracy(teacher):.1%}")
print(f"student, the same {LABELLED} images: {accuracy(alone):.1%}")

for what, data in (("all images", (x, y)), ("all images, no label", (x,))):
    student = make_model("student", width=2)
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    distiller.compile(keras.optimizers.Adam(0.003), ignore_class=-1)
    history = distiller.fit(*data, epochs=EPOCHS, batch_size=BATCH, verbose=0).history
    print(f"student, {what}: {accuracy(student):.1%}")
    print(f"  agrees with the teacher on {history['agreement'][-1]:.1%} of {len(x)} images")
without = [name for name in methods.names() if not methods.get(name).needs_labels]
print("methods that need no labels:", *without)
