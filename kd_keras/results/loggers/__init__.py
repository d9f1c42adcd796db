"""Logs for TensorBoard, Weights & Biases and MLflow."""
