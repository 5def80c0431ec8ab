from .build import build_model as build_model
from .build import saved_model_settings as saved_model_settings
from .fusion import fuse_for_inference as fuse_for_inference
from .names import ARCHS as ARCHS
from .names import CONSENSUS_TYPES as CONSENSUS_TYPES
from .names import MOTION_MODULES as MOTION_MODULES
from .recognizer import MSN as MSN
from .recognizer import use_channels_last as use_channels_last
