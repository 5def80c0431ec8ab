"""Options of a command line: declared once as fields of dataclasses, and read from files."""
