"""Command lines: each script's arguments, turned into settings."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.data import BUILT_IN, STORAGES, DatasetOptions, resolve_dataset, with_val_list
from ops.models import ARCHS, CONSENSUS_TYPES, MOTION_MODULES
from ops.runtime import InputError, require
from ops.settings.config import (
    AMP_TYPES,
    CLIP_SAMPLINGS,
    LOSS_TYPES,
    MAX_CLIPS,
    ON_BAD_VIDEO,
    PARAM_GROUPS,
    SCHEDULES,
    ModelConfig,
    ResultsConfig,
    TestConfig,
    TestModel,
    TrainConfig,
)
from ops.video import DECODERS


class _Parser(argparse.ArgumentParser):
    """Reports a bad command line like any other bad input: one line, exit status 2."""

    def error(self, message: str) -> Any:
        raise InputError(f"{message} (see {self.prog} --help)")


def _motion(text: str) -> tuple[str, ...]:
    chosen = () if text == "none" else tuple(text.split(","))
    for name in chosen:
        if name not in MOTION_MODULES:
            raise argparse.ArgumentTypeError(f"expected none or some of {','.join(MOTION_MODULES)}, got {name!r}")
    return tuple(m for m in MOTION_MODULES if m in chosen)


def add_dataset_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say what differs from a data set's built-in entry."""
    group = parser.add_argument_group("data set", "the positional name, and what differs from its built-in entry")
    group.add_argument("--dataset_config", metavar="FILE.toml", help="data set description (docs/datasets.md)")
    group.add_argument("--root_path", metavar="DIR", help="folder that relative paths in lists are joined to")
    group.add_argument("--train_list", metavar="FILE")
    group.add_argument("--val_list", metavar="FILE")
    group.add_argument("--num_class", type=int, metavar="K")
    group.add_argument("--class_names", metavar="FILE", help="one name a line (default: ROOT/classes.txt if there)")
    group.add_argument("--image_tmpl", metavar="TMPL", help="image names in frame folders, like {:05d}.jpg")
    group.add_argument("--storage", choices=STORAGES, help="frame folders or video files")
    group.add_argument("--split", type=int, metavar="N", help="official split, 1 to 3, of ucf101 and hmdb51")
    group.add_argument(
        "--decoder", choices=tuple(DECODERS), default="pyav", help="of video files (default: %(default)s)"
    )


def _add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("broken videos", "docs/reliability.md says what becomes of them").add_argument
    add("--on_bad_video", choices=ON_BAD_VIDEO, default="error", help="stop, or go on without it (default: error)")
    add("--max_bad", type=float, default=0.01, metavar="FRACTION",
        help="stop where more than this part of a list is skipped (default: %(default)s)")  # fmt: skip
    add("--clip_timeout", type=float, default=300, metavar="SECONDS",
        help="stop where a worker reads one video for longer; 0: never (default: %(default)s)")  # fmt: skip


def dataset_options(args: argparse.Namespace) -> DatasetOptions:
    """What the options of ``add_dataset_arguments`` and the name ``dataset`` say."""
    return DatasetOptions(
        name=args.dataset,
        root_path=args.root_path,
        train_list=args.train_list,
        val_list=args.val_list,
        num_class=args.num_class,
        class_names=args.class_names,
        image_tmpl=args.image_tmpl,
        storage=args.storage,
        split=args.split,
        dataset_config=args.dataset_config,
    )


def _train_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="main.py", description="Train MSN, or evaluate a checkpoint on the validation list.")
    add = parser.add_argument
    add("dataset", help=f"{', '.join(BUILT_IN)}, or one described by the options below")
    add("modality", choices=("RGB", "Flow", "RGBDiff"), help="RGB")
    add_dataset_arguments(parser)
    _add_reading_arguments(parser)

    add = parser.add_argument_group("model").add_argument
    add("--arch", default="resnet50", choices=ARCHS)
    add("--num_segments", type=int, default=8, metavar="T")
    add("--consensus_type", default="avg", choices=CONSENSUS_TYPES)
    add("--dropout", "--do", type=float, default=0.5, help="before the head (default: %(default)s)")
    add("--motion", type=_motion, default=MOTION_MODULES, metavar="MODULES",
        help="none, or some of stpme,dsme,shift (default: all)")  # fmt: skip
    add("--motion_window", type=int, metavar="W", help="segments that DS-ME takes as one clip (default: T)")
    add("--loss_type", default="nll", choices=LOSS_TYPES, help="cross-entropy on the consensus logits")
    add("--pretrain", default="imagenet", metavar="imagenet|none|PATH")
    add("--tune_from", metavar="CHECKPOINT", help="start from its weights, all but a head of another size")

    add = parser.add_argument_group("learning").add_argument
    add("--epochs", type=int, default=60)
    add("--start-epoch", type=int, metavar="N", help="epochs already done (default: as the checkpoint says, or 0)")
    add("-b", "--batch-size", type=int, default=8, metavar="N", help="videos a batch, per process")
    add("--accumulate", type=int, default=1, metavar="K", help="batches an optimiser step")
    add("--lr", "--learning-rate", type=float, default=0.01)
    add("--lr_batch_size", type=int, metavar="N",
        help="videos a step that --lr is meant for; it is scaled to those there are (default: no scaling)")  # fmt: skip
    add("--lr_scheduler", default="step", choices=SCHEDULES)
    add("--lr_steps", type=float, nargs="+", default=[30, 45, 55], metavar="EPOCH")
    add("--lr_decay_rate", type=float, default=0.1)
    add("--warmup_epoch", type=float, default=0, metavar="N")
    add("--warmup_multiplier", type=float, default=100, metavar="M", help="the warmup starts at lr / M")
    add("--momentum", type=float, default=0.9)
    add("--wd", "--weight-decay", type=float, default=5e-4, dest="weight_decay")
    add("--gd", "--clip-gradient", type=float, metavar="NORM", dest="clip_gradient", help="clip the gradient's norm")
    add("--param_groups", default="single", choices=PARAM_GROUPS)
    bn = parser.add_mutually_exclusive_group()
    bn.add_argument("--npb", "--no_partialbn", action="store_false", dest="partialbn", default=False,
                    help="train every BatchNorm (the default)")  # fmt: skip
    bn.add_argument("--partialbn", action="store_true", help="freeze every BatchNorm but the first")
    add("--input_size", type=int, default=224, metavar="PIXELS")
    add("--dense_sample", action="store_true", help="64 consecutive frames instead of the whole video")
    add("--seed", type=int, default=0)

    add = parser.add_argument_group("run").add_argument
    add("-j", "--workers", type=int, default=8, metavar="N", help="processes that decode, per process")
    add("--gpus", type=int, nargs="+", metavar="ID", help="GPU of each local rank (default: in order)")
    add("--amp", choices=AMP_TYPES, help="automatic mixed precision")
    add("--channels_last", action="store_true")
    add("--compile", action="store_true", help="torch.compile the network")
    add("--local-rank", "--local_rank", type=int, help=argparse.SUPPRESS)  # from torch.distributed.launch
    add("--resume", metavar="CHECKPOINT|auto", help="go on from there; auto: from the run's newest whole one, if any")
    add("-e", "--evaluate", action="store_true", help="only validate the checkpoint of --resume")
    add("-p", "--print-freq", type=int, default=20, metavar="STEPS")
    add("--eval-freq", type=int, default=1, metavar="EPOCHS")
    add("--save_every", type=int, metavar="STEPS", help="write last.pth.tar inside an epoch too (default: after it)")
    add("--keep", type=int, metavar="N", help="newest N_epoch_ckpt.pth.tar that stay (default: all)")
    add("--skip_nonfinite", type=int, default=0, metavar="N",
        help="steps that may be left out because of a non-finite loss or gradient (default: %(default)s)")  # fmt: skip
    add("--root_log", type=Path, default=Path("log"), metavar="DIR")
    add("--root_model", type=Path, default=Path("checkpoint"), metavar="DIR")
    add("--suffix", metavar="NAME", help="ends the run's folder name")
    return parser


def parse_train(argv: Sequence[str] | None = None) -> TrainConfig:
    """Settings of main.py from its command line."""
    args = _train_parser().parse_args(argv)
    if args.modality != "RGB":
        raise InputError(f"expected modality RGB, got {args.modality}: MSN sees RGB frames and takes motion from them")
    values = {k: v for k, v in vars(args).items() if k in TrainConfig.__dataclass_fields__}
    return TrainConfig(
        **values
        | {
            "dataset": resolve_dataset(dataset_options(args)),
            "model": ModelConfig(
                args.arch, args.num_segments, args.motion, args.motion_window, args.dropout, args.consensus_type
            ),
            "lr_steps": tuple(args.lr_steps),
            "gpus": _gpus(args.gpus),
        }
    )


def _gpus(ids: list[int] | None) -> tuple[int, ...] | None:
    return tuple(ids) if ids else None


@dataclass(frozen=True)
class TestScript:
    """What differs between the test scripts."""

    prog: str
    num_crops: int
    num_clips: int
    description: str


def _test_parser(script: TestScript) -> argparse.ArgumentParser:
    parser = _Parser(prog=script.prog, description=script.description)
    add = parser.add_argument
    add("dataset", help=f"{', '.join(BUILT_IN)}, or one described by the options below")
    add_dataset_arguments(parser)
    _add_reading_arguments(parser)

    add = parser.add_argument_group("models", "several, separated by commas, are tested as an ensemble").add_argument
    add("--archs", default="resnet50", help="one for all, or one each (default: %(default)s)")
    add("--weights", required=True, metavar="CHECKPOINT[,...]")
    add("--test_segments", default="8", metavar="T[,...]")
    add("--coeff", metavar="C[,...]", help="weight of each model's logits (default: 1)")
    add(
        "--motion",
        type=_motion,
        metavar="MODULES",
        help="none, or some of stpme,dsme,shift (default: the checkpoint's)",
    )
    add(
        "--motion_window",
        type=int,
        metavar="W",
        help="segments that DS-ME takes as one clip (default: the checkpoint's)",
    )

    add = parser.add_argument_group("views").add_argument
    add("--test_crops", type=int, default=script.num_crops, choices=(script.num_crops,), metavar=str(script.num_crops))
    add("--num_clips", type=int, default=script.num_clips, metavar="K", help="clips a video has (default: %(default)s)")
    add("--clip_index", default="0", metavar="C|all", help="which of the K clips, or all of them (default: 0)")
    add("--clip_sampling", default="even", choices=CLIP_SAMPLINGS, help="clips spread evenly, or drawn from --seed")
    add("--dense_sample", action="store_true", help="64 consecutive frames instead of the whole video")
    add("--seed", type=int, default=0)
    add("--input_size", type=int, default=224, metavar="PIXELS")
    add("--full_res", action="store_true", help="crops of the full short side: 256 pixels instead of 224")
    add("--test_list", metavar="FILE", help="list to test on (default: the validation list)")
    add("--max_num", type=int, metavar="N", help="only the first N videos")

    add = parser.add_argument_group("run").add_argument
    add("--local-rank", "--local_rank", type=int, help=argparse.SUPPRESS)  # from torch.distributed.launch
    add("--batch_size", type=int, default=16, metavar="N", help="views a forward pass")
    add("-j", "--workers", type=int, default=8, metavar="N")
    add("--gpus", type=int, nargs="+", metavar="ID", help="GPU of each local rank (default: in order)")
    add("--amp", choices=AMP_TYPES, help="automatic mixed precision")
    add("--compile", action="store_true", help="torch.compile the network")

    add = parser.add_argument_group("results").add_argument
    add("--output_dir", type=Path, required=True, metavar="DIR", help="score pickles: CLIP_cropN.pkl")
    add("--overwrite", action="store_true", help="replace scores that were measured with other settings")
    add("--resume_scores", action="store_true", help="continue an interrupted run of the same settings")
    add("--softmax", action="store_true", help="average the models' probabilities, and save their logarithms")
    add("--csv_file", type=Path, metavar="FILE", help="predictions: video, label, first five classes")
    return parser


def _split_list(text: str, option: str, kind: type, count: int | None = None) -> list[Any]:
    try:
        values = [kind(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"expected {option} to be {kind.__name__} values separated by commas, got {text!r}") from None
    if count is not None and len(values) == 1:
        values *= count
    if count is not None and len(values) != count:
        raise InputError(f"expected {count} values of {option}, one for each of --weights, got {len(values)}")
    return values


def parse_test(script: TestScript, argv: Sequence[str] | None = None) -> TestConfig:
    """Settings of a test script from its command line."""
    args = _test_parser(script).parse_args(argv)
    weights = _split_list(args.weights, "--weights", Path)
    archs = _split_list(args.archs, "--archs", str, len(weights))
    segments = _split_list(args.test_segments, "--test_segments", int, len(weights))
    coefficients = _split_list(args.coeff or "1", "--coeff", float, len(weights))
    for arch in archs:
        require(arch in ARCHS, f"--archs among {', '.join(ARCHS)}", repr(arch))
    for count in segments:
        require(count >= 2, "--test_segments of at least 2", count)
    if args.clip_index == "all":
        require(1 <= args.num_clips <= MAX_CLIPS, f"--num_clips from 1 to {MAX_CLIPS}", args.num_clips)
        clips = tuple(range(args.num_clips))
    else:
        clips = tuple(_split_list(args.clip_index, "--clip_index", int))
    values = {k: v for k, v in vars(args).items() if k in TestConfig.__dataclass_fields__}
    return TestConfig(
        **values
        | {
            "dataset": with_val_list(resolve_dataset(dataset_options(args)), args.test_list),
            "models": tuple(
                TestModel(a, w, t, c) for a, w, t, c in zip(archs, weights, segments, coefficients, strict=True)
            ),
            "num_crops": args.test_crops,
            "clips": clips,
            "gpus": _gpus(args.gpus),
        }
    )


def parse_results(argv: Sequence[str] | None = None) -> ResultsConfig:
    """Settings of pkl_to_results.py from its command line."""
    parser = _Parser(prog="pkl_to_results.py", description="Average score pickles and report accuracies.")
    add = parser.add_argument
    add("--output_dir", type=Path, required=True, metavar="DIR", help="folder of CLIP_cropN.pkl; results are put there")
    add("--num_clips", type=int, default=1, metavar="K")
    add("--test_crops", type=int, default=1, metavar="N")
    add("--multi_segments", action="store_true", help="average with the scores of --output_dir1, after softmax")
    add("--output_dir1", type=Path, metavar="DIR", help="second folder, like 16 frames beside 8")
    add("--class_names", type=Path, metavar="FILE", help="one name a line, for the reports")
    add("--per_class", action="store_true", help="print the accuracy of every class")
    args = parser.parse_args(argv)
    require(args.multi_segments == (args.output_dir1 is not None), "--multi_segments together with --output_dir1",
            "one of them")  # fmt: skip
    return ResultsConfig(
        folders=(args.output_dir, args.output_dir1) if args.multi_segments else (args.output_dir,),
        num_clips=args.num_clips,
        num_crops=args.test_crops,
        class_names=args.class_names,
        per_class=args.per_class,
    )
