"""Answers over time: windows over long videos and live streams."""
