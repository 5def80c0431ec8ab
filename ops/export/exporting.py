"""The body of export.py: a checkpoint in, an ONNX file or a folder out, kept if it gives the checkpoint's scores."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ops.checkpoints import find_weights, read_checkpoint, with_weights
from ops.data import read_class_names
from ops.export.about import about_of
from ops.export.agreement import compare
from ops.export.model_folder import read_results, write_folder
from ops.export.onnx_file import write_onnx
from ops.inference import Predictor, Source, find_sources
from ops.models import Recognizer
from ops.runtime import (
    Failure,
    InputError,
    check_writable,
    move_into_place,
    print_any_name,
    report,
    temporary_path,
)
from ops.settings import ExportConfig

TRIES = 3  # videos that are tried for each that is wanted


def export(config: ExportConfig) -> int:
    """Write what is asked for and print how it compares; returns the exit status: 2 where a video could not be read.

    Raises:
        InputError: nothing can be written, or what was written gives other scores.
    """
    print_any_name()
    if config.out.exists():
        raise InputError(f"{config.out}: expected the name of a new file or folder, got one that exists")
    check_writable(config.out)
    results = read_results(config.results or ())
    content = with_weights(read_checkpoint(config.checkpoint), config.weights_kind, config.checkpoint)
    names = () if config.class_names is None else read_class_names(config.class_names)
    original = Predictor(
        config.checkpoint, device="cpu", class_names=names, decoder=config.decoder, **config.network_settings
    )
    failures: list[Failure] = []
    clips, kind = _clips(config, original, content, failures)
    about = about_of(original)
    scratch = temporary_path(config.out)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        written = scratch / config.out.name
        if config.is_onnx:
            assert isinstance(original.network, Recognizer)
            write_onnx(original.network, about, written, config.input == "float", config.fp16)
        else:
            write_folder(content, about, written, results, config.fp16)
        agreement = compare(original, Predictor(written, device="cpu"), clips)
        agreement.check(config.out, config.fp16)
        move_into_place(written, config.out)
    except OSError as error:
        raise InputError(f"{config.out}: expected to write it, got {error.strerror or error}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sizes = [f"{_size(path) / 1e6:.1f} MB" for path in (config.out, find_weights(config.checkpoint))]
    print(f"{config.out}: {sizes[0]} (the checkpoint: {sizes[1]})")
    print(f"compared on {kind}: {agreement}")
    return 2 if failures else 0


def _clips(
    config: ExportConfig, predictor: Predictor, content: dict[str, Any], failures: list[Failure]
) -> tuple[Tensor, str]:
    """Clips (N, T, F, 3, s, s) to compare on, and what they are of; videos that cannot be read are reported."""
    asked = config.videos is not None
    clips: list[Tensor] = []
    for source in _sources(config, content):
        if len(clips) == config.num_videos:
            break
        try:
            if isinstance(source, Failure):
                raise InputError(source.reason)
            clips.append(predictor.clip(source))
        except InputError as error:
            failures += [Failure(str(source), str(error))] if asked else []
    for failure in failures:
        report(failure.reason)
    if clips:
        return torch.stack(clips), f"{len(clips)} of the videos"
    if asked:
        raise InputError("expected a video of --videos that can be read, got none")
    network, size = predictor.network, predictor.settings.input_size
    shape = (config.num_videos, network.num_segments, network.frames_per_segment, 3, size, size)
    noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return noise, f"{config.num_videos} clips of noise (--videos compares on real ones)"


def _sources(config: ExportConfig, content: dict[str, Any]) -> Sequence[Source | Failure]:
    """The videos that are asked for, else the first of the validation list of training, where that still is."""
    if config.videos is not None:
        return find_sources(config.videos)
    saved: Any = content.get("config")
    for key in ("dataset", "val_list"):
        saved = saved.get(key) if isinstance(saved, dict) else None
    if not isinstance(saved, str) or not Path(saved).is_file():
        return []
    return find_sources([saved])[: TRIES * config.num_videos]


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size
