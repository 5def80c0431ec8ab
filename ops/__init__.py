"""Motion-Sensitive Network: data, model, training and testing.

Each package is a wing; it imports only from the wings above it in this order (tests/test_layout.py holds it):
runtime, video, data, checkpoints, models, settings, evaluation, training, inference, export, preparation, motion_set,
visual, benchmark.
"""
