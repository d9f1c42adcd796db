"""The work of `kdk export`: chooses images, writes and checks files with `exports/`."""
