"""Fine-tuning a student whose first layers are frozen.

Shows      `trainable = False` as in Keras: first the new head learns from the teacher, then all
           layers do, at a lower rate.
Expect     frozen layers that stay as they are, bit for bit, and an accuracy that rises in the
           second part.
Your data  replace `train` and `test`, and `body` by your pretrained layers, such as
           keras.applications.MobileNetV2(include_top=False).

    python examples/frozen_layers.py
"""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

from kd_keras import Distiller, methods

EPOCHS, BATCH = 6, 32

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)  # 1,797 images of 8x8 pixels, 0 to 16, in 10 classes
x = x.reshape(-1, 8, 8, 1).astype("float32") / 16
train, test = (x[:1300], y[:1300]), (x[1300:], y[1300:])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def make_body(width: int) -> keras.Model:
    stack = [keras.Input((8, 8, 1)), layers.Conv2D(width, 3, strides=2, padding="same")]
    stack += [layers.BatchNormalization(momentum=0.9), layers.ReLU(), layers.Flatten()]
    return keras.Sequential(stack)


def with_head(body: keras.Model, classes: int) -> keras.Model:
    return keras.Sequential([body, layers.Dense(classes)])


def accuracy(model: keras.Model) -> float:
    return float(np.mean(np.argmax(model(test[0]), axis=-1) == test[1]))


body = make_body(4)
teacher, pretraining = with_head(make_body(32), classes=10), with_head(body, classes=2)
for model, labels in ((teacher, train[1]), (pretraining, train[1] % 2)):  # 2: is the digit odd?
    model.compile("adam", loss)
    model.fit(train[0], labels, epochs=EPOCHS, batch_size=BATCH, verbose=0)

before = body.get_weights()
student = with_head(body, classes=10)
distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
for frozen, rate in ((True, 0.01), (False, 0.003)):
    body.trainable = not frozen
    distiller.compile(keras.optimizers.Adam(rate))  # again after each change, as in Keras
    distiller.fit(*train, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    same = all(np.array_equal(a, b) for a, b in zip(before, body.get_weights(), strict=True))
    print(f"{accuracy(student):.1%}; the first layers are {'as before' if same else 'changed'}")
print(f"teacher: {accuracy(teacher):.1%}")
