"""A teacher of another framework: an ONNX file, through the teacher cache.

Shows      a teacher that runs once, outside Keras. Its logits for two views of each training image
           go to a folder of plain files, and the student learns from these.
Expect     the accuracy of the student, and how often it agrees with the file's answers.
Your data  `torch.onnx.export` writes such a file, and preprocess="torch" is what torchvision's
           models expect. `data.load("folder:PATH")` reads your images. Any function of (B, H, W, C)
           uint8 images that gives {"logits": (B, classes)} can stand for `teacher`.

    pip install 'kd-keras[onnx]' && python examples/onnx_teacher.py
"""

import tempfile
from pathlib import Path

import keras
import onnx
from keras import layers
from sklearn.neural_network import MLPClassifier

from kd_keras import Distiller, data, methods
from kd_keras.data import pipeline
from kd_keras.teacher_cache import onnx_teacher, reader, writer

VIEWS, EPOCHS, BATCH = 2, 10, 64

keras.utils.set_random_seed(0)
scratch = Path(tempfile.mkdtemp())
digits = data.load("digits", cache_dir=scratch)

rows = digits.train.images_at(slice(None)).reshape(-1, 64) / 255
net = MLPClassifier((64,), tol=0.01, random_state=0).fit(rows, digits.train.labels)
model = onnx.parser.parse_model("""<ir_version: 9, opset_import: ["" : 17]>
    teacher (float[N, 8, 8, 1] images) => (float[N, 10] logits) {
    rows = Flatten (images)  sums = Gemm (rows, w0, b0)  hidden = Relu (sums)
    logits = Gemm (hidden, w1, b1) }""")
for name, array in zip(("w0", "w1", "b0", "b1"), net.coefs_ + net.intercepts_, strict=True):
    model.graph.initializer.append(onnx.numpy_helper.from_array(array.astype("float32"), name))
onnx.save(model, scratch / "teacher.onnx")

teacher = onnx_teacher.OnnxTeacher(scratch / "teacher.onnx", preprocess="0..1")
form = {"outputs": {"logits": (10,)}, "views": VIEWS}
header = writer.header_for(digits, teacher=teacher.fingerprint, **form)
writer.make(scratch / "rows", header, digits.train, teacher)

cache, form = reader.Cache(scratch / "rows"), {"batch_size": BATCH, "seed": 0, "views": VIEWS}
plan = pipeline.BatchPlan(digits.train, policy=digits.augment, **form)
batches = plan.dataset(0, EPOCHS * plan.steps_per_epoch, teacher=cache)
body = [layers.Rescaling(1 / 255), layers.Conv2D(8, 3, strides=2, activation="relu")]
student = keras.Sequential([keras.Input((8, 8, 1)), *body, layers.Flatten(), layers.Dense(10)])

distiller = Distiller(student, teacher=cache, methods=methods.get("kd"))
distiller.compile(keras.optimizers.Adam(0.005), metrics=["accuracy"])
test = pipeline.evaluation(digits.validation, batch_size=BATCH)
form = {"steps_per_epoch": plan.steps_per_epoch, "epochs": EPOCHS, "verbose": 0}
history = distiller.fit(batches, validation_data=test, **form).history
print(f"student: {history['val_accuracy'][-1]:.1%} of the validation images")
print(f"agrees with the file on {history['agreement'][-1]:.1%} of the training images")
