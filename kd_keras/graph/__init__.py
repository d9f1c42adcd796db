"""What a Keras model is made of: features by name, heads, folded batch norms, fast twins."""
