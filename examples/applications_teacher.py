"""A teacher from keras.applications.

Shows      a body of keras.applications with its own range of pixels, and a head for your classes.
Expect     the accuracy of teacher and student. Without ImageNet's weights the teacher starts from
           random ones, so that the example needs no network.
Your data  replace `train` and `test`, SIDE and the 10 classes; pixels are 0 to 255. Set WEIGHTS to
           "imagenet", and the teacher needs few epochs. `kdk train --teacher app:MobileNet` does
           all of this for a folder of images.

    python examples/applications_teacher.py
"""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

from kd_keras import Distiller, methods

WEIGHTS = None  # "imagenet" downloads them once to ~/.keras
LAST_LAYER = "conv_pw_5_relu"  # the first blocks are enough for such small images
SIDE, EPOCHS, BATCH = 32, 5, 32

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)  # 1,797 images of 8x8 pixels, 0 to 16, in 10 classes
x = x.reshape(-1, 8, 8, 1).repeat(4, axis=1).repeat(4, axis=2).repeat(3, axis=3) * (255 / 16)
train, test = (x[:1200].astype("float32"), y[:1200]), (x[1200:].astype("float32"), y[1200:])

net = keras.applications.MobileNet(
    input_shape=(SIDE, SIDE, 3), alpha=0.25, include_top=False, weights=WEIGHTS
)
body = keras.Model(net.input, net.get_layer(LAST_LAYER).output, name="body")
for layer in body.layers:
    if isinstance(layer, layers.BatchNormalization) and WEIGHTS is None:
        layer.momentum = 0.8  # statistics that settle within these few steps
images = keras.Input((SIDE, SIDE, 3))
pixels = layers.Rescaling(1 / 127.5, offset=-1)(images)  # what MobileNet was trained on
pooled = layers.GlobalAveragePooling2D()(body(pixels))
teacher = keras.Model(images, layers.Dense(10, activation="softmax")(pooled), name="teacher")
teacher.compile(keras.optimizers.Adam(0.003), loss="sparse_categorical_crossentropy")
teacher.fit(*train, epochs=EPOCHS, batch_size=BATCH, verbose=0)

images = keras.Input((SIDE, SIDE, 3))
maps = layers.Rescaling(1 / 255)(images)
for channels in (4, 8, 8):
    maps = layers.Conv2D(channels, 3, strides=2, padding="same", activation="relu")(maps)
student = keras.Model(images, layers.Dense(10)(layers.Flatten()(maps)), name="student")

distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
distiller.compile(keras.optimizers.Adam(0.01))
distiller.fit(*train, epochs=EPOCHS, batch_size=BATCH, verbose=0)

for model in (teacher, student):
    right = np.argmax(model.predict(test[0], verbose=0), axis=-1) == test[1]
    print(f"{model.name}: {right.mean():.1%}, {model.count_params():,} parameters")
