from .clips import SPLITS as SPLITS
from .clips import Clip as Clip
from .clips import RenderConfig as RenderConfig
