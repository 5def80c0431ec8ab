from .conversion import convert as convert
from .exporting import export as export
