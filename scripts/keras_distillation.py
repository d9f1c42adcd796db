"""Training a student from a teacher with Keras alone, as its documentation has it.

Shows   nothing by itself: the job that scripts/bench_train.py runs in a process of its own.
On      Tiny ImageNet's JPEGs, read, decoded and augmented by tf.data; keras.distillation with
        KLDivergence() as an object, with which its loss is right; float32, validation each epoch.
Takes   what Keras takes.

    python scripts/keras_distillation.py --data-dir DIR --teacher FILE --student FILE
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import keras
import tensorflow as tf

SIZE, PADDING = 64, 8


@click.command(help=__doc__.splitlines()[0])
@click.option("--data-dir", required=True, help="folder that holds tiny-imagenet-200/")
@click.option("--teacher", required=True, help="a .keras file")
@click.option("--student", required=True, help="a .keras file; the trained one goes beside it")
@click.option("--batch", default=128, show_default=True)
@click.option("--epochs", default=1, show_default=True)
def main(data_dir: str, teacher: str, student: str, batch: int, epochs: int) -> None:
    folder = Path(data_dir) / "tiny-imagenet-200"
    labels = {wnid: n for n, wnid in enumerate(sorted((folder / "wnids.txt").read_text().split()))}
    learner = keras.models.load_model(student, compile=False)
    distiller = keras.distillation.Distiller(
        teacher=keras.models.load_model(teacher, compile=False),
        student=learner,
        distillation_losses=keras.distillation.LogitsDistillation(
            temperature=4.0, loss=keras.losses.KLDivergence()
        ),
    )
    distiller.compile(
        optimizer=keras.optimizers.Adam(0.001),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["sparse_categorical_accuracy"],
    )
    distiller.fit(
        training(*train_files(folder, labels), batch),
        validation_data=validation(*validation_files(folder, labels), batch),
        epochs=epochs,
        verbose=2,
    )
    learner.save(Path(student).with_name("student-trained.keras"))


def train_files(folder: Path, labels: dict[str, int]) -> tuple[list[str], list[int]]:
    files = sorted(folder.glob("train/*/images/*.JPEG"))
    return [str(file) for file in files], [labels[file.parts[-3]] for file in files]


def validation_files(folder: Path, labels: dict[str, int]) -> tuple[list[str], list[int]]:
    lines = (folder / "val" / "val_annotations.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    return [str(folder / "val" / "images" / row[0]) for row in rows], [labels[r[1]] for r in rows]


def training(paths: list[str], labels: list[int], batch: int) -> tf.data.Dataset:
    files = tf.data.Dataset.from_tensor_slices((paths, labels)).shuffle(len(paths))
    images = files.map(lambda path, label: (augmented(read(path)), label), tf.data.AUTOTUNE)
    return images.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def validation(paths: list[str], labels: list[int], batch: int) -> tf.data.Dataset:
    files = tf.data.Dataset.from_tensor_slices((paths, labels))
    images = files.map(lambda path, label: (floats(read(path)), label), tf.data.AUTOTUNE)
    return images.batch(batch).prefetch(tf.data.AUTOTUNE)


def read(path: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    return tf.ensure_shape(image, (SIZE, SIZE, 3))


def augmented(image: tf.Tensor) -> tf.Tensor:
    """A random crop of the image with a border, mirrored or not."""
    border = [[PADDING, PADDING], [PADDING, PADDING], [0, 0]]
    crop = tf.image.random_crop(tf.pad(image, border), (SIZE, SIZE, 3))
    return floats(tf.image.random_flip_left_right(crop))


def floats(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(image, tf.float32)


if __name__ == "__main__":
    main()
