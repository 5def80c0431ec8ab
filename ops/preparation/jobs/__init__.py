"""One job a video, many at once."""
