"""The data sets that are built in, and what a command line can say of a data set."""

from dataclasses import dataclass
from typing import ClassVar

from ops.runtime import Settings, setting

STORAGES = ("frames", "videos")
DEFAULT_TEMPLATE = "{:05d}.jpg"
# Left-right pairs of Something-Something's alphabetical ids, for lists that come without class names.
SOMETHING_MIRROR_PAIRS = ((86, 87), (93, 94), (166, 167))


@dataclass(frozen=True)
class _BuiltIn:
    storages: tuple[str, ...]  # the first is the default
    num_classes: int
    train_list: str = "train.txt"
    val_list: str = "val.txt"
    mirror_pairs: tuple[tuple[int, int], ...] = ()
    splits: int = 0


BUILT_IN: dict[str, _BuiltIn] = {
    "something": _BuiltIn(("frames",), 174, mirror_pairs=SOMETHING_MIRROR_PAIRS),
    "somethingv2": _BuiltIn(("frames",), 174, mirror_pairs=SOMETHING_MIRROR_PAIRS),
    "kinetics": _BuiltIn(("videos",), 400),
    "ucf101": _BuiltIn(
        ("videos", "frames"), 101, "train_{storage}_split{split}.txt", "val_{storage}_split{split}.txt", splits=3
    ),
    "hmdb51": _BuiltIn(
        ("videos", "frames"), 51, "train_{storage}_split{split}.txt", "val_{storage}_split{split}.txt", splits=3
    ),
    "jester": _BuiltIn(("frames",), 27),
    "motion": _BuiltIn(("videos", "frames"), 8, "train_{storage}.txt", "val_{storage}.txt"),
}


@dataclass(frozen=True)
class DatasetOptions(Settings):
    """What the command line says of the data set; None where it says nothing."""

    group: ClassVar[str] = "data set"

    name: str = setting(
        "dataset",
        help=f"name of the data set: {', '.join(BUILT_IN)}, or a name of your own, described by --dataset_config or by "
        f"the options below; it also names the run",
    )
    dataset_config: str | None = setting(
        "--dataset_config", default=None, unset="none", metavar="FILE.toml", optional=True,
        help="file that describes the data set (docs/datasets.md); options given here override it",
    )  # fmt: skip
    root_path: str | None = setting(
        "--root_path", default=None, unset="data/NAME", metavar="DIR", optional=True,
        help="root folder of the data set: relative paths in its lists are joined to it",
    )  # fmt: skip
    train_list: str | None = setting(
        "--train_list", default=None, unset="the data set's own list, in its root folder", metavar="FILE",
        optional=True,
        help="list of training videos, one per line",
    )  # fmt: skip
    val_list: str | None = setting(
        "--val_list", default=None, unset="the data set's own list, in its root folder", metavar="FILE", optional=True,
        help="list of validation videos, one per line",
    )  # fmt: skip
    num_class: int | None = setting(
        "--num_class", default=None, unset="as the data set says", metavar="K", optional=True,
        help="number of classes; labels are 0 to K-1",
    )  # fmt: skip
    class_names: str | None = setting(
        "--class_names", default=None, unset="classes.txt in the root folder, if it is there", metavar="FILE",
        optional=True, help="file of class names, one per line, in label order",
    )  # fmt: skip
    image_tmpl: str | None = setting(
        "--image_tmpl", default=None, unset=DEFAULT_TEMPLATE, metavar="TEMPLATE", optional=True,
        help="names of the images in frame folders, like img_{:05d}.jpg for img_00001.jpg",
    )  # fmt: skip
    storage: str | None = setting(
        "--storage", default=None, unset="as the data set says", choices=STORAGES, optional=True,
        help="whether the lists name folders of frames or video files",
    )  # fmt: skip
    split: int | None = setting(
        "--split", default=None, unset="1", metavar="N", optional=True,
        help="official split of ucf101 and hmdb51: 1, 2 or 3",
    )  # fmt: skip
