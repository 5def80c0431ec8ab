"""Runs over several machines: what a launcher says of them, how their processes meet, what must be the same on all."""
