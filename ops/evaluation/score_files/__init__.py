"""Files of scores: the pickles that other tools read, what stands beside them, and the journal of a running test."""
