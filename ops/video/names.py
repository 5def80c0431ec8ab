"""Which files are videos, by the endings of their names."""

from pathlib import Path

# Endings of files with moving pictures that FFmpeg, and so PyAV, reads; compared without regard to case.
ENDINGS = (
    "mp4 m4v mov qt 3gp 3g2 f4v mkv webm avi divx flv wmv asf mpg mpeg mpe m1v m2v mpv vob ts mts m2ts m2t tp ogv ogm "
    "rm rmvb mxf dv nut ivf y4m gif mjpg mjpeg h264 264 avc h265 265 hevc obu wtv amv bik drc nsv roq"
)
VIDEO_SUFFIXES = frozenset(f".{ending}" for ending in ENDINGS.split())


def is_video_name(name: str) -> bool:
    return Path(name).suffix.lower() in VIDEO_SUFFIXES
