from .averaging import AverageOptions as AverageOptions
from .averaging import average_checkpoints as average_checkpoints
from .run import evaluate as evaluate
from .run import train as train
