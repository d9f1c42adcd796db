"""Built-in recipes, one TOML file each; the head of a file says what the recipe shows."""
