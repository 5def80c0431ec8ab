"""What a pass over a file's packets has shown, kept: in the process, and in a file beside the list."""
