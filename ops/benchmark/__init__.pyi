from .complexity_report import ComplexityOptions as ComplexityOptions
from .complexity_report import report_complexity as report_complexity
from .run import BenchmarkOptions as BenchmarkOptions
from .run import Oracles as Oracles
from .run import run_benchmark as run_benchmark
from .study.runs import Schedule as Schedule
from .study.runs import StudyOptions as StudyOptions
from .study.study import make_study as make_study
