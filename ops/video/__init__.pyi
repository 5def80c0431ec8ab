from .errors import MAX_FRAMES as MAX_FRAMES
from .errors import VideoError as VideoError
from .reader import DECODERS as DECODERS
from .reader import FrameFolder as FrameFolder
from .reader import Reader as Reader
from .reader import choose_decoder as choose_decoder
from .reader import open_video as open_video
from .reader import read_frames as read_frames
