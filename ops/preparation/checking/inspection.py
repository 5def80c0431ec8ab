"""What the worker processes of a check do to a video; they need not import torch."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from ops.data import DatasetSpec
from ops.preparation.checking.facts import Facts, ListedVideo
from ops.preparation.checking.folder_check import inspect_folder
from ops.preparation.checking.video_check import inspect_video
from ops.video import PacketIndex


@dataclass(frozen=True)
class Inspect:
    """Work of worker_pool.py: the facts of a video.

    Args:
        spec: the data set.
        decoder: of video files.
        verify: compare the frames that training reads with those of plain decoding.
        index: of the packets of video files, which gets what is found.
    """

    spec: DatasetSpec
    decoder: str
    verify: bool = False
    index: PacketIndex | None = None

    def __call__(self, video: ListedVideo, threads: int) -> Facts:
        if self.spec.storage == "frames":
            return inspect_folder(video.path, self.spec.image_tmpl)
        with quiet_stderr():
            facts = inspect_video(video.path, self.decoder, threads, self.verify, self.index)
        if self.index is not None:
            self.index.flush()  # a worker is killed as soon as nothing is left to do
        return facts


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps from the terminal what decoders write there of every damaged block of a picture."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def digest(video: ListedVideo, threads: int) -> str:
    """Work of worker_pool.py: a hash of a file's bytes, or of the names and bytes of a folder's files."""
    content = hashlib.blake2b(digest_size=16)
    folder = video.path
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else [folder]
    for path in files:
        if path != folder:
            content.update(f"{path.name}\0{path.stat().st_size}\0".encode(errors="surrogateescape"))
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                content.update(block)
    return content.hexdigest()
