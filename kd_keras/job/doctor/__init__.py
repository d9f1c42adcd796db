"""What `kdk doctor` looks at: each file checks one part of what a run needs."""
