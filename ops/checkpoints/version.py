"""The version of the project, which checkpoints carry."""

VERSION = "0.1.0"
