"""How long training takes on how many GPUs, on paper, and the paper against processes of one host."""
