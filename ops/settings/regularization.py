"""Settings that fight overfitting: augmentation, mixing, label smoothing, averaged weights; all are off by default."""

from dataclasses import dataclass
from typing import ClassVar

from ops.data import describe_augment, parse_augment
from ops.runtime import Settings, at_least, from_to_below, require, setting


@dataclass(frozen=True, kw_only=True)
class RegularizationSettings(Settings):
    """What a training changes of its clips, labels and weights so that the network generalises better."""

    group: ClassVar[str] = "regularization (docs/training.md)"

    augment: str = setting(
        "--augment", default="none", metavar="SPEC",
        help="augmentation of training clips, the same for all frames of a clip: none, color, strong, or operations "
        "separated by commas like randaugment:magnitude=9:number=2:geometric=off, jitter, grayscale, blur, "
        "erase:probability=0.25",
    )  # fmt: skip
    mixup: float = setting(
        "--mixup", default=0, limit=at_least(0), metavar="ALPHA",
        help="blend training clips and their labels in pairs, in shares drawn from Beta(ALPHA, ALPHA); 0 blends none",
    )  # fmt: skip
    cutmix: float = setting(
        "--cutmix", default=0, limit=at_least(0), metavar="ALPHA",
        help="exchange a rectangle between the training clips of a pair, of a size drawn from Beta(ALPHA, ALPHA), and "
        "mix their labels by its area; with --mixup, each pair is mixed in one of the two ways; 0 exchanges none",
    )  # fmt: skip
    label_smoothing: float = setting(
        "--label_smoothing", default=0, limit=from_to_below(0, 1), metavar="PART",
        help="part of each training label that is spread evenly over all classes",
    )  # fmt: skip
    ema: float | None = setting(
        "--ema", default=None, unset="none", limit=from_to_below(0, 1), metavar="DECAY",
        help="keep an exponential moving average of the weights, like 0.999, which is validated and saved beside them",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "augment", describe_augment(parse_augment(self.augment)))

    @property
    def mixes(self) -> bool:
        """Whether clips are mixed."""
        return self.mixup > 0 or self.cutmix > 0

    def _check_mixing(self, batch_size: int, num_classes: int) -> None:
        """Raise InputError unless a batch consists of pairs, and there is a class to mix with."""
        if self.mixes:
            require(batch_size % 2 == 0, "an even --batch-size with --mixup and --cutmix, which mix clips in pairs",
                    batch_size)  # fmt: skip
            require(num_classes > 1, "at least two classes with --mixup and --cutmix", num_classes)
