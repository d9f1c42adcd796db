"""Two replicas that share each batch: a strategy of TensorFlow.

Shows      that the models and the Distiller are made in the strategy's scope, and all else stays.
           Two logical CPUs stand in for two GPUs.
Expect     the accuracy of the student. It is as on one device, up to rounding.
Your data  replace `train` and `test`. With GPUs, leave the first two statements out, and give
           MirroredStrategy no devices: it takes all GPUs. `kdk train` does that by itself.

    python examples/two_replicas.py
"""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

from kd_keras import Distiller, methods

EPOCHS, BATCH = 8, 64  # of a batch, each replica gets 32 images

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

x, y = load_digits(return_X_y=True)  # 1,797 images of 8x8 pixels, 0 to 16, in 10 classes
x = x.reshape(-1, 8, 8, 1).astype("float32") / 16
train, test = (x[:1200], y[:1200]), (x[1200:], y[1200:])


def make_model(name: str, width: int) -> keras.Model:
    images = keras.Input((8, 8, 1))
    maps = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(images)
    return keras.Model(images, layers.Dense(10)(layers.Flatten()(maps)), name=name)


keras.utils.set_random_seed(0)
with strategy.scope():
    teacher, student = make_model("teacher", width=32), make_model("student", width=2)
    plain = Distiller(teacher)  # without a teacher it is plain training
    distiller = Distiller(student, teacher=teacher, methods=methods.get("kd"))
    plain.compile(keras.optimizers.Adam(0.003), metrics=["accuracy"])
    distiller.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])

plain.fit(*train, epochs=EPOCHS, batch_size=BATCH, verbose=0)
history = distiller.fit(
    *train, validation_data=test, epochs=EPOCHS, batch_size=BATCH, verbose=0
).history
print(f"{strategy.num_replicas_in_sync} replicas")
print(f"student: {history['val_accuracy'][-1]:.1%}")
print(f"agrees with the teacher on {history['agreement'][-1]:.1%} of the training images")
