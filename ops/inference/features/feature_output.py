"""The folder of features: claimed before the first video, filled with files after the last."""

import hashlib
import json
import re
from collections.abc import Collection
from typing import Any

from ops.data import VideoSource
from ops.evaluation import Kept, ScoreJournal, claim, pictures_of
from ops.inference.features.feature_files import check_format, encode
from ops.runtime import InputError, exchange, get_logger, plural, release, write_atomically
from ops.settings import FeatureConfig

SUMMARY = "features.json"
_SHARD = re.compile(r"features_\d{5}\.(npz|safetensors|h5)")


class FeatureOutput:
    """The folder, held while features are made.

    Args:
        config: settings.
        made: all of the network and its views that features depend on, JSON-able.
        source: the videos.
        shape: of a video's features.

    Raises:
        InputError: it cannot be written, another run fills it, or it holds features that were made in another way.
    """

    def __init__(
        self, config: FeatureConfig, made: dict[str, Any], source: VideoSource, shape: tuple[int, ...]
    ) -> None:
        self.config = config
        self.records = source.records
        names = "\n".join(f"{record.path} {record.label}" for record in source.records)
        listed = {"list": hashlib.sha256(names.encode()).hexdigest(), "pictures": pictures_of(source)}
        # On other machines the pictures may lie elsewhere.
        self.made = exchange.from_main({**made, "shape": list(shape), **listed})
        kept = Kept("features", "done", "run", "--resume")
        self.journal = ScoreJournal(config.output_dir, "features", self.made, shape, kept)
        check_format(config.format)
        self._lock = claim(self.journal, config.overwrite, config.resume, self._check_what_is_there)
        self.is_complete: bool = exchange.on_main(self._is_complete)
        if self.is_complete:
            self.journal.remove()  # what other machines had when the first one completed
            exchange.barrier()

    def _check_what_is_there(self) -> None:
        summary = self.config.output_dir / SUMMARY
        if not self.config.overwrite and summary.exists() and self._summary().get("made") != self.made:
            raise InputError(
                f"{summary}: expected features of these settings, got those of other settings; choose another "
                f"--output_dir or pass --overwrite"
            )

    def _summary(self) -> dict[str, Any]:
        """What the summary says; nothing where there is none that can be read."""
        try:
            said = json.loads((self.config.output_dir / SUMMARY).read_text(encoding="utf-8"))
            return said if isinstance(said, dict) else {}
        except (OSError, ValueError):
            return {}

    def _is_complete(self) -> bool:
        """Whether a run that resumes has nothing left to do."""
        config, said = self.config, self._summary()
        if not config.resume or config.overwrite or self.journal.paths() or said.get("made") != self.made:
            return False
        skipped = said.get("skipped")
        files = [shard.get("file") for shard in said.get("files", ())]
        return (
            (not skipped or config.on_bad_video == "skip")
            and (said.get("format"), said.get("shard_size")) == (config.format, config.shard_size)
            and all((config.output_dir / str(file)).is_file() for file in files)
        )

    def close(self) -> None:
        """Let other runs in."""
        if self._lock is not None:
            release(self._lock)

    def write(self, left_out: Collection[int]) -> None:
        """Turn the journal into files; broken videos are skipped.

        Raises:
            InputError: a video is missing, or a file cannot be written.
        """
        config, places = self.config, self.journal.places()
        folder = config.output_dir
        missing = [i for i in range(len(self.records)) if i not in places and i not in left_out]
        if missing:
            raise InputError(
                f"{folder}: expected features of {plural(len(self.records), 'video')}, got none of {len(missing):,}, "
                f"the first is {self.records[missing[0]].path}"
            )
        videos = sorted(places)
        files: list[dict[str, Any]] = []
        for start in range(0, len(videos), config.shard_size):
            some = videos[start : start + config.shard_size]
            name = f"features_{len(files):05d}.{config.format}"
            features = self.journal.take([places[video] for video in some])
            labels, names = zip(*((self.records[i].label, self.records[i].path) for i in some), strict=True)
            write_atomically(folder / name, encode(config.format, features, labels, names))
            files.append({"file": name, "videos": len(some)})
        skipped = [self.records[i].path for i in sorted(left_out)]
        summary = {"made": self.made, "format": config.format, "shard_size": config.shard_size, "skipped": skipped}
        self._remove_others({entry["file"] for entry in files})
        write_atomically(folder / SUMMARY, (json.dumps({**summary, "files": files}, indent=1) + "\n").encode())
        shape = " x ".join(map(str, self.journal.shape))
        get_logger().info(
            "%s: features of %s, %s each, in %s",
            folder,
            plural(len(videos), "video"),
            shape,
            plural(len(files), "file"),
        )

    def _remove_others(self, ours: Collection[str]) -> None:
        """Files of an earlier run that had more of them, or another form."""
        for path in self.config.output_dir.iterdir():
            if _SHARD.fullmatch(path.name) and path.name not in ours:
                path.unlink()
