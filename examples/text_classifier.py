"""A text classifier: a transformer teaches a bag of words.

Shows      that the Distiller takes token ids as it takes images.
Expect     how often each tells which chapter of Python's language reference a sentence is from. The
           student has a quarter of the parameters. These sentences need no word order, so it does
           not do worse, and would do as well without its teacher.
Your data  replace `texts`, (N,) str, and `y`, (N,) int, the class of each text, from 0.

    python examples/text_classifier.py
"""

import re
from pydoc_data.topics import topics  # comes with Python

import keras
import numpy as np
from keras import layers, ops

from kd_keras import Distiller, methods

CHAPTERS = ["compound", "debugger", "formatstrings", "specialnames", "string-methods", "types"]
WORDS, LENGTH, EPOCHS, BATCH = 2000, 20, 6, 64

keras.utils.set_random_seed(0)
sentences = [re.findall(r"[A-Z][^.:*]{20,}[.:]", topics[chapter]) for chapter in CHAPTERS]
texts = np.concatenate(sentences)
y = np.repeat(range(len(CHAPTERS)), [len(chapter) for chapter in sentences])
order = np.random.default_rng(0).permutation(len(y))
texts, y = texts[order], y[order]
tokens = layers.TextVectorization(max_tokens=WORDS, output_sequence_length=LENGTH)
tokens.adapt(texts[:1000])
x = ops.convert_to_numpy(tokens(texts))  # (N, LENGTH) int, 0 where a text has ended
train, test = (x[:1000], y[:1000]), (x[1000:], y[1000:])


def make_teacher() -> keras.Model:
    ids = keras.Input((LENGTH,), dtype="int32")
    words = layers.Embedding(WORDS, 32, mask_zero=True)(ids)
    attended = layers.Add()([words, layers.MultiHeadAttention(2, 16)(words, words)])
    words = layers.LayerNormalization()(attended)
    pooled = layers.Dropout(0.3)(layers.GlobalAveragePooling1D()(words))
    return keras.Model(ids, layers.Dense(len(CHAPTERS))(pooled), name="teacher")


def make_student() -> keras.Model:
    ids = keras.Input((LENGTH,), dtype="int32")
    pooled = layers.GlobalAveragePooling1D()(layers.Embedding(WORDS, 8, mask_zero=True)(ids))
    return keras.Model(ids, layers.Dense(len(CHAPTERS))(pooled), name="student")


teacher, student = make_teacher(), make_student()
plain, soft_targets = Distiller(teacher), methods.get("kd", temperature=2)
for distiller in (plain, Distiller(student, teacher=teacher, methods=soft_targets)):
    distiller.compile(keras.optimizers.Adam(0.01 if distiller is plain else 0.03))
    distiller.fit(*train, epochs=EPOCHS, batch_size=BATCH, verbose=0)

for model in (teacher, student):
    right = np.argmax(model.predict(test[0], verbose=0), axis=-1) == test[1]
    print(f"{model.name}: {right.mean():.1%} of the sentences, {model.count_params():,} parameters")
