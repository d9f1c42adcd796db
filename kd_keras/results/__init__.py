"""What people look at: accuracy, timing, tables, curves, TensorBoard, the screen."""
