"""Motion-Sensitive Network: data, model, training and testing.

Modules are ordered in floors; each imports only from lower ones (tests/test_layout.py holds the table).
"""
