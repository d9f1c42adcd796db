"""Teacher caches: the command that makes one, and the folder that they lie in."""
