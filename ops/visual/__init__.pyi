from .clip_sheet import SheetOptions as SheetOptions
from .clip_sheet import show_clips as show_clips
from .confusion import draw_confusion as draw_confusion
from .watched_clips import ClipSettings as ClipSettings
