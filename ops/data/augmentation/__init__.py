"""Augmentation of training clips: what ``--augment`` asks for, and the changes of pixels that it draws."""
