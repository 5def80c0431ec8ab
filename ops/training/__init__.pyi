from .run import evaluate as evaluate
from .run import train as train
