"""What a Keras model needs besides its step: checks, progress, replicas, the deployed model."""
