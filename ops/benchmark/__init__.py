"""Measurements of this project against a plain implementation of the same network and loader."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
