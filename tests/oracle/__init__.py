"""Plain restatements to test against; nothing here imports ops."""
