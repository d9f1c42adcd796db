"""What one training step does, from a batch to the optimizer's update."""
