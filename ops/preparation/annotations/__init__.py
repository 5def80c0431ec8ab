"""Official annotation files, one reader a data set."""
