from .confusion_matrix import draw_confusion as draw_confusion
from .explained.explaining import Explaining as Explaining
from .overlay import write_overlay as write_overlay
from .runs.comparison import compare_runs as compare_runs
from .show_clips import SheetOptions as SheetOptions
from .show_clips import show_clips as show_clips
from .timeline import draw_timeline as draw_timeline
from .traced_clips import ClipSettings as ClipSettings
