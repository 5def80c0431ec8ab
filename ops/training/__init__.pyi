from .averaging import AverageOptions as AverageOptions
from .averaging import average_checkpoints as average_checkpoints
from .reporting.event_files import RunScalars as RunScalars
from .reporting.event_files import find_runs as find_runs
from .reporting.event_files import read_scalars as read_scalars
from .reporting.event_files import scalars_in as scalars_in
from .run import evaluate as evaluate
from .run import train as train
