"""Pages for a browser: all that scores say, and the curves of training. One file each, no network."""
