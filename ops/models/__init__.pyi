from .build import build_model as build_model
from .fusion import fuse_for_inference as fuse_for_inference
from .names import ARCHS as ARCHS
from .names import CONSENSUS_TYPES as CONSENSUS_TYPES
from .names import FRAMES_PER_SEGMENT as FRAMES_PER_SEGMENT
from .names import MOTION_MODULES as MOTION_MODULES
from .recognizer import Recognizer as Recognizer
from .recognizer import use_channels_last as use_channels_last
