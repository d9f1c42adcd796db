"""What a SavedModel of a student answers, and a process that asks it as a server does."""
