"""The data set of a test, where the command line leaves it to the checkpoints to say which."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ops.checkpoints import Description
from ops.data import BadVideos, DatasetSpec, VideoRecord, VideoSource, check_first_video, read_list, test_scale
from ops.runtime import InputError, get_logger
from ops.settings import FeatureConfig, TestConfig, UsedList, require_same_run
from ops.video import choose_decoder

Config = TypeVar("Config", TestConfig, FeatureConfig)
_LISTS = ("train_list", "val_list")


def open_list(
    config: Config, contents: Sequence[Mapping[str, Any]], found: Sequence[Description]
) -> tuple[Config, Sequence[VideoRecord], BadVideos]:
    """The settings with their data set, the records of its list, and what keeps count of those that are broken.

    Raises:
        InputError: the data set is not known, or its list or first video cannot be read.
    """
    config = with_data(config, contents, found)
    everything = read_list(config.data.val_list, config.data)
    records = everything[: config.max_num]
    require_same_run(config, config.data, [UsedList("list", config.data.val_list, everything)])
    skip = config.on_bad_video == "skip"
    check_first_video(records, config.data, skip)
    return config, records, BadVideos(config.data.val_list, len(records), skip, config.max_bad)


def source_of(config: TestConfig | FeatureConfig, records: Sequence[VideoRecord]) -> VideoSource:
    """The videos of a list, once it is known how large the network sees them."""
    least = test_scale(config.input_size) if config.reduced_jpeg else None
    decoder = choose_decoder(config.decoder)
    return VideoSource.of_list(config.data, config.data.val_list, records, decoder, config.pixels, least)


def with_data(config: Config, contents: Sequence[Mapping[str, Any]], found: Sequence[Description]) -> Config:
    """The settings with the data set that is tested on.

    Where the command line names none, it is that of training, as main.py saved it: its lists, its folder, its classes.
    Of a data set that is named but not described, the checkpoint says the number of classes.

    Args:
        config: settings of the script.
        contents: of the checkpoints of --weights.
        found: what they say of themselves.

    Raises:
        InputError: they do not say it, or say different ones.
    """
    if isinstance(config.dataset, DatasetSpec):
        return config
    options = config.dataset
    known: dict[str, Any] = {} if found[0].num_classes is None else {"num_classes": found[0].num_classes}
    if not options.name:
        source = _source(config, found)
        options = replace(options, name=found[source].dataset or "")
        known |= saved_data(contents[source])
        if options.split is not None or options.storage is not None:  # other lists than those of training
            known = {field: value for field, value in known.items() if field not in _LISTS}
        said = "taken from the file's name: " if "dataset" in found[source].from_name else ""
        get_logger().info("%s: %sdata set %s", config.weights[source], said, options.name)
    return replace(config, dataset=options.resolve_with(known))


def _source(config: TestConfig | FeatureConfig, found: Sequence[Description]) -> int:
    """Which checkpoint is the first that says the name of its data set."""
    names = [each.dataset for each in found if each.dataset is not None]
    if not names:
        raise InputError(f"expected {config.wanted_name}, as {config.weights[0]} does not say which data set it is of")
    if len(set(names)) > 1:
        raise InputError(
            f"expected {config.wanted_name}, as these say different ones: {' and '.join(sorted(set(names)))}"
        )
    return next(number for number, each in enumerate(found) if each.dataset is not None)


def saved_data(content: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the data set of training; a list in its folder by name, so that it follows the folder."""
    saved = content.get("config")
    saved = saved.get("dataset") if isinstance(saved, Mapping) else None
    if not isinstance(saved, Mapping):
        return {}
    known: dict[str, Any] = {
        field: saved[field] for field in ("storage", "image_tmpl") if isinstance(saved.get(field), str)
    }
    places = {field: Path(saved[field]) for field in ("root", *_LISTS) if isinstance(saved.get(field), str)}
    for field, path in places.items():
        inside = field != "root" and "root" in places and path.is_relative_to(places["root"])
        known[field] = str(path.relative_to(places["root"])) if inside else path
    return known
