"""Any Keras model as teacher and as student.

Shows      soft targets together with a hint from a layer inside a nested model, and a student that
           is saved, loaded and used with Keras alone.
Expect     the teacher's accuracy, and one for the student and for its file.
Your data  replace x and y by arrays or a tf.data.Dataset, and the two functions by your models.

    python examples/keras_models.py
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

from kd_keras import Distiller, methods

EPOCHS, BATCH = 10, 64

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)  # 1,797 images of 8x8 pixels, 0 to 16, in 10 classes
x = x.reshape(-1, 8, 8, 1).astype("float32") / 16
train, test = (x[:1200], y[:1200]), (x[1200:], y[1200:])


def make_teacher() -> keras.Model:
    maps = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu", name="maps")
    body = keras.Sequential([layers.Conv2D(32, 3, activation="relu"), maps], name="body")
    images = keras.Input((8, 8, 1))
    features = layers.Flatten()(body(images))
    return keras.Model(images, layers.Dense(10, activation="softmax")(features), name="teacher")


def make_student() -> keras.Model:  # ends in logits: no softmax
    maps = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="maps")
    stack = [keras.Input((8, 8, 1)), maps, layers.Flatten(), layers.Dense(10)]
    return keras.Sequential(stack, name="student")


teacher, student = make_teacher(), make_student()
teacher.compile("adam", loss="sparse_categorical_crossentropy")
teacher.fit(*train, batch_size=BATCH, epochs=EPOCHS, verbose=0)

hint = methods.get("fitnet", tap="maps", teacher_tap="body/maps", weight=1)
distiller = Distiller(student, teacher=teacher, methods=[methods.get("kd"), hint])
distiller.compile(keras.optimizers.Adam(0.005), metrics=["accuracy"])
distiller.fit(*train, batch_size=BATCH, epochs=EPOCHS, verbose=0)

path = Path(tempfile.mkdtemp()) / "student.keras"
student.save(path)
models = {"teacher": teacher, "student": student, "its file": keras.models.load_model(path)}
for name, model in models.items():
    right = np.argmax(model.predict(test[0], verbose=0), axis=-1) == test[1]
    print(f"{name}: {right.mean():.1%}, {model.count_params():,} parameters")
