from .confusion_matrix import draw_confusion as draw_confusion
from .show_clips import SheetOptions as SheetOptions
from .show_clips import show_clips as show_clips
from .traced_clips import ClipSettings as ClipSettings
