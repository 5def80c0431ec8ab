"""A checkpoint and a list -> features in files."""
