"""The reader of each data set's annotation files, as its makers distribute them.

A line that does not say what it should is an error that names file and line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ops.preparation.annotations.hmdb51 import read_hmdb51
from ops.preparation.annotations.kinetics import read_kinetics
from ops.preparation.annotations.samples import Annotations
from ops.preparation.annotations.semicolon_csv import read_semicolon_csv
from ops.preparation.annotations.something_v2 import read_something_v2
from ops.preparation.annotations.ucf101 import read_ucf101

# Of data sets with one division into training and validation, and with several official ones, by number.
SINGLE: dict[str, Callable[[Path], Annotations]] = {
    "something": lambda folder: read_semicolon_csv(folder, "something-something-v1"),
    "somethingv2": read_something_v2,
    "jester": lambda folder: read_semicolon_csv(folder, "jester-v1"),
    "kinetics": read_kinetics,
}
SEVERAL: dict[str, Callable[[Path], dict[int, Annotations]]] = {"ucf101": read_ucf101, "hmdb51": read_hmdb51}
