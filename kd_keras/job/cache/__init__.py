"""Teacher caches: the command that makes one, the caches that runs use, and the cache folder."""
