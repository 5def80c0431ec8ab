"""What a run says: advice before it begins, lines of the log, scalars for TensorBoard."""
