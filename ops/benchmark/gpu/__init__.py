"""What one command measures on a machine with a GPU: speed and memory of training and testing, kernels, the loader."""
