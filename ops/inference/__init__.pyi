from .answers import Caption as Caption
from .answers import clock as clock
from .checkpoint_page import CheckpointPage as CheckpointPage
from .over_time.timeline import Timeline as Timeline
from .pictures import timed_pictures as timed_pictures
from .predicting import Prediction as Prediction
from .predictor import Predictor as Predictor
from .sources import Source as Source
