from .conversion import convert as convert
