from .clips import RenderConfig as RenderConfig
from .rendering import preview as preview
from .rendering import render as render
