from .reporting.advice import announce as announce
from .run import evaluate as evaluate
from .run import train as train
