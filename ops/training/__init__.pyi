from .loop import fit as fit
from .run import TrainingRun as TrainingRun
from .validation import Evaluation as Evaluation
from .validation import evaluate as evaluate
