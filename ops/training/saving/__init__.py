"""What of a run lies on the disk: its folder, what a checkpoint of it holds, and where a run starts."""
