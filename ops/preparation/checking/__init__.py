"""Checks of a prepared data set."""
