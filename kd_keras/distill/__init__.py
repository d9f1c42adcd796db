"""The training step: a Keras model that trains a student on labels and on a teacher's knowledge."""
