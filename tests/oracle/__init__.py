"""Plain implementations to test against; nothing here imports ops."""
