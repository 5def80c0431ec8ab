from .run import BenchmarkOptions as BenchmarkOptions
from .run import Oracles as Oracles
from .run import run_benchmark as run_benchmark
