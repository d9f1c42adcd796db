"""Built-in recipes: one TOML file each, read by `kd_keras.recipe`; the head says what it shows."""
