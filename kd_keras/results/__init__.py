"""The results of a run: accuracy, timing, tables, curves, TensorBoard, the screen."""
