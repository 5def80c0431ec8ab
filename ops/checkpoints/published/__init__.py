"""Key names of published checkpoints, a table a network."""
