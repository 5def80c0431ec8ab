from .contact_sheet import Card as Card
from .contact_sheet import Sheet as Sheet
from .contact_sheet import View as View
