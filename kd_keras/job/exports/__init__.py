"""The job of `kdk export`."""
