"""Videos that cannot be read: what becomes of them, and how many there may be."""

from collections.abc import Iterable
from pathlib import Path

from ops.data.dataset import BrokenVideo
from ops.runtime import InputError, exchange, get_logger


class BadVideos:
    """The broken videos of one list: each is reported once, and too many of them are an error.

    Args:
        video_list: the list.
        num_videos: how many videos it has.
        skip: continue without them; otherwise the first is an error.
        max_bad: how large a part of the list may be broken.
    """

    def __init__(self, video_list: Path, num_videos: int, skip: bool, max_bad: float) -> None:
        self.video_list = video_list
        self.num_videos = num_videos
        self.skip = skip
        self.max_bad = max_bad
        self.reasons: dict[int, str] = {}

    def add(self, broken: Iterable[BrokenVideo]) -> None:
        """Count what this process has met.

        Raises:
            InputError: a video is broken and is not to be skipped, or too many are.
        """
        for video, reason in broken:
            if not self.skip:
                raise InputError(reason)
            self._add(video, reason)

    def gather(self) -> None:
        """Count what any process has met; all of them call it together.

        Raises:
            InputError: too many videos are broken.
        """
        if self.skip:
            for video, reason in exchange.merge_over_processes(self.reasons).items():
                self._add(video, reason)

    def _add(self, video: int, reason: str) -> None:
        if video in self.reasons:
            return
        self.reasons[video] = reason
        count = len(self.reasons)
        get_logger().warning(
            "skipped a broken video (%d of the %d videos of %s so far): %s",
            count, self.num_videos, self.video_list.name, reason,
        )  # fmt: skip
        if count / self.num_videos > self.max_bad:
            raise InputError(
                f"{self.video_list}: expected at most {100 * self.max_bad:g} % of {self.num_videos} videos to be "
                f"broken (--max_bad), got {count}, the last: {reason}"
            )
