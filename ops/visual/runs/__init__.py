"""Runs of main.py side by side: what their folders of logs hold, and how they compare."""
