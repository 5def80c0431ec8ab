"""Command lines: the published ones, every flag and its value, and what is refused, in one line."""

import json
import shlex
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import test_models_center_crop as centre_script
import test_models_three_crops as three_script
from ops.runtime.errors import InputError
from ops.settings.command_lines import parse_results, parse_test, parse_train
from ops.settings.network import ModelConfig
from ops.settings.results import ResultsConfig
from ops.settings.saved import config_dict
from ops.settings.testing import TestConfig, TestModel
from ops.settings.training import TrainConfig
from ops.training.lr_scheduler import build_schedule

SOMETHING = (
    "something RGB --arch resnet50 --num_segments 8 --gd 20 --lr 0.01 --lr_scheduler step --lr_steps 30 45 55 "
    "--epochs 60 --batch-size 8 --wd 5e-4 --dropout 0.5 --consensus_type=avg --eval-freq=1 -j 4 --npb"
)
KINETICS = (
    "kinetics RGB --arch resnet50 --num_segments 8 --gd 20 --lr 0.02 --lr_scheduler step --lr_steps 50 75 90 "
    "--epochs 100 --batch-size 8 --wd 1e-4 --dropout 0.5 --consensus_type=avg --eval-freq=1 -j 4 --npb"
)
CENTRE = (
    "something --archs='resnet50' --weights CKPT --test_segments=8 --test_crops=1 --batch_size=16 --gpus 0 "
    "--output_dir DIR -j 4 --clip_index=0"
)
THREE = (
    "kinetics --archs='resnet50' --weights CKPT --test_segments=8 --test_crops=3 --batch_size=16 --full_res --gpus 0 "
    "--output_dir DIR -j 4 --clip_index {}"
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an empty folder of scores in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "DIR").mkdir()
    return tmp_path


def train(text: str = "") -> TrainConfig:
    return parse_train(shlex.split(f"motion RGB {text}"))


def centre(text: str = "") -> TestConfig:
    return parse_test(centre_script.SCRIPT, shlex.split(f"motion --weights a.pth --output_dir DIR {text}"))


def three(text: str = "") -> TestConfig:
    return parse_test(three_script.SCRIPT, shlex.split(f"motion --weights a.pth --output_dir DIR {text}"))


def results(text: str = "") -> ResultsConfig:
    return parse_results(shlex.split(f"--output_dir DIR {text}"))


def refusal(parse: Callable[[str], Any], text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(text)
    message = str(caught.value)
    assert message and "\n" not in message
    return message


class TestPublishedRecipes:
    @pytest.mark.parametrize(
        ("command", "dataset", "lr", "steps", "epochs", "decay"),
        [(SOMETHING, "something", 0.01, (30, 45, 55), 60, 5e-4), (KINETICS, "kinetics", 0.02, (50, 75, 90), 100, 1e-4)],
    )
    def test_training(
        self, command: str, dataset: str, lr: float, steps: tuple[float, ...], epochs: int, decay: float
    ) -> None:
        config = parse_train(shlex.split(command))
        assert config.dataset.name == dataset
        assert config.model == ModelConfig("msn", "resnet50", 8, ("stpme", "dsme", "shift"), None, 0.5, "avg")
        assert (config.lr, config.lr_scheduler, config.lr_steps) == (lr, "step", steps)
        assert (config.epochs, config.weight_decay, config.clip_gradient) == (epochs, decay, 20)
        assert (config.batch_size, config.accumulate, config.workers, config.eval_freq) == (8, 1, 4, 1)
        assert (config.momentum, config.param_groups, config.partialbn) == (0.9, "single", False)
        assert (config.pretrain, config.input_size, config.dense_sample) == ("imagenet", 224, False)
        assert (config.warmup_epoch, config.lr_decay_rate) == (0, 0.1)
        assert config.amp is None and config.resume is None and not config.evaluate

    @pytest.mark.parametrize("flag", ["--local-rank=0", "--local_rank=1"])
    def test_training_under_torch_distributed_launch(self, flag: str) -> None:
        """``python -m torch.distributed.launch`` puts --local-rank before the script's own arguments."""
        assert parse_train([flag, *shlex.split(SOMETHING)]) == parse_train(shlex.split(SOMETHING))

    def test_centre_crop(self) -> None:
        config = parse_test(centre_script.SCRIPT, shlex.split(CENTRE))
        assert config.dataset.name == "something"
        assert config.models == (TestModel("resnet50", Path("CKPT"), 8, 1.0),)
        assert (config.num_crops, config.num_clips, config.clips) == (1, 1, (0,))
        assert (config.batch_size, config.gpus, config.workers) == (16, (0,), 4)
        assert (config.output_dir, config.full_res, config.input_size) == (Path("DIR"), False, 224)

    @pytest.mark.parametrize("clip", range(10))
    def test_three_crops(self, clip: int) -> None:
        config = parse_test(three_script.SCRIPT, shlex.split(THREE.format(clip)))
        assert config.dataset.name == "kinetics"
        assert config.models == (TestModel("resnet50", Path("CKPT"), 8, 1.0),)
        assert (config.num_crops, config.num_clips, config.clips) == (3, 10, (clip,))
        assert config.full_res

    @pytest.mark.parametrize(("clips", "crops"), [(1, 1), (10, 3)])
    def test_results(self, clips: int, crops: int) -> None:
        config = parse_results(shlex.split(f"--num_clips {clips} --test_crops {crops} --output_dir DIR"))
        assert (config.folders, config.num_clips, config.num_crops) == ((Path("DIR"),), clips, crops)
        assert config.class_names is None and not config.per_class


class TestTrainFlags:
    @pytest.mark.parametrize(
        ("text", "field", "value"),
        [
            ("--arch resnet10", "model.arch", "resnet10"),
            ("--num_segments 16", "model.num_segments", 16),
            ("--consensus_type identity", "model.consensus", "identity"),
            ("--dropout 0.8", "model.dropout", 0.8),
            ("--do 0.8", "model.dropout", 0.8),
            ("", "model.network", "msn"),
            ("--model tdn", "model.network", "tdn"),
            ("--model tdn", "model.motion", ("stdm", "ltdm", "shift")),
            ("--model tsm", "model.motion", ("shift",)),
            ("--model tsn", "model.motion", ()),
            ("--model tdn --motion shift,ltdm", "model.motion", ("ltdm", "shift")),
            ("--motion none", "model.motion", ()),
            ("--motion shift,stpme", "model.motion", ("stpme", "shift")),
            ("--motion_window 4", "model.motion_window", 4),
            ("--loss_type nll", "loss_type", "nll"),
            ("--pretrain none", "pretrain", "none"),
            ("--pretrain weights.pth", "pretrain", "weights.pth"),
            ("--tune_from a.pth", "tune_from", "a.pth"),
            ("--suffix try", "suffix", "try"),
            ("--epochs 7", "epochs", 7),
            ("-b 3", "batch_size", 3),
            ("--batch-size 3", "batch_size", 3),
            ("--accumulate 4", "accumulate", 4),
            ("--lr_scheduler cosine", "lr_scheduler", "cosine"),
            ("--warmup_epoch 2", "warmup_epoch", 2),
            ("--warmup_multiplier 10", "warmup_multiplier", 10),
            ("--lr_decay_rate 0.5", "lr_decay_rate", 0.5),
            ("--lr 0.3", "lr", 0.3),
            ("--learning-rate 0.3", "lr", 0.3),
            ("--lr_steps 1 2.5", "lr_steps", (1, 2.5)),
            ("--momentum 0.8", "momentum", 0.8),
            ("--wd 0.1", "weight_decay", 0.1),
            ("--weight-decay 0.1", "weight_decay", 0.1),
            ("--gd 5", "clip_gradient", 5),
            ("--gd inf", "clip_gradient", float("inf")),
            ("--clip-gradient 5", "clip_gradient", 5),
            ("", "clip_gradient", None),
            ("--npb", "partialbn", False),
            ("--no_partialbn", "partialbn", False),
            ("--partialbn", "partialbn", True),
            ("--param_groups tsn", "param_groups", "tsn"),
            ("--print-freq 7", "print_freq", 7),
            ("-p 7", "print_freq", 7),
            ("--eval-freq 7", "eval_freq", 7),
            ("-j 0", "workers", 0),
            ("--workers 3", "workers", 3),
            ("--resume a.pth", "resume", "a.pth"),
            ("--lr_batch_size 16", "lr_batch_size", 16),
            ("--resume auto", "resume", "auto"),
            ("-e --resume a.pth", "evaluate", True),
            ("--evaluate --resume a.pth", "evaluate", True),
            ("--start-epoch 3", "start_epoch", 3),
            ("--gpus 2 3", "gpus", (2, 3)),
            ("", "gpus", None),
            ("--root_log a/b", "root_log", Path("a/b")),
            ("--root_model a/b", "root_model", Path("a/b")),
            ("--dense_sample", "dense_sample", True),
            ("--input_size 112", "input_size", 112),
            ("--amp bf16", "amp", "bf16"),
            ("--amp fp16", "amp", "fp16"),
            ("--channels_last", "channels_last", True),
            ("--channels_first", "channels_last", False),
            ("--compile", "compile", True),
            ("--seed 9", "seed", 9),
            ("--decoder pyav", "decoder", "pyav"),
            ("--root_path r", "dataset.root", Path("r")),
            ("--train_list t.txt", "dataset.train_list", Path("t.txt")),
            ("--val_list v.txt", "dataset.val_list", Path("v.txt")),
            ("--num_class 5", "dataset.num_classes", 5),
            ("--image_tmpl {:d}.png", "dataset.image_tmpl", "{:d}.png"),
            ("--storage frames", "dataset.storage", "frames"),
        ],
    )
    def test_value(self, text: str, field: str, value: Any) -> None:
        found: Any = train(text)
        for name in field.split("."):
            found = getattr(found, name)
        assert (found == value and type(found) is type(value)) or (isinstance(value, int | float) and found == value)

    def test_dataset_files(self) -> None:
        Path("names.txt").write_text("a\nb\n")
        assert train("--class_names names.txt").dataset.class_names == ("a", "b")
        Path("mine.toml").write_text('num_classes = 6\nimage_tmpl = "{:d}.png"\n')
        dataset = train("--dataset_config mine.toml --num_class 7").dataset
        assert (dataset.num_classes, dataset.image_tmpl) == (7, "{:d}.png")
        assert parse_train(shlex.split("hmdb51 RGB --split 3")).dataset.train_list.name == "train_videos_split3.txt"

    def test_defaults_are_those_of_the_something_recipe(self) -> None:
        given, default = parse_train(shlex.split(SOMETHING)), parse_train(["something", "RGB"])
        differing = {f.name for f in fields(given) if f.compare and getattr(given, f.name) != getattr(default, f.name)}
        assert differing == {"clip_gradient", "workers"}

    def test_folders_of_a_run(self) -> None:
        config = train("--arch resnet10 --num_segments 4 --root_log l --root_model m")
        name = "MSN_motion_RGB_resnet10_avg_segment4"
        assert (config.log_dir, config.model_dir) == (Path("l") / name, Path("m") / name)
        assert train("--arch resnet10 --num_segments 4 --suffix try").run_name == f"{name}_try"

    def test_schedule(self) -> None:
        config = train("--lr 0.4 --lr_steps 2 --lr_decay_rate 0.5 --warmup_epoch 1 --warmup_multiplier 4")
        schedule = build_schedule(config, 10, 48)
        assert [schedule.lr(it) for it in (0, 10, 19, 20)] == pytest.approx([0.1, 0.4, 0.4, 0.2])

    @pytest.mark.parametrize(("videos", "lr"), [(16, 0.01), (32, 0.02), (4, 0.0025)])
    def test_learning_rate_in_proportion_to_the_batch(self, videos: int, lr: float) -> None:
        config = train("--lr 0.01 --lr_batch_size 16 --lr_steps 2 --lr_decay_rate 0.5")
        schedule = build_schedule(config, 10, videos)
        assert [schedule.lr(it) for it in (0, 20)] == pytest.approx([lr, lr / 2])
        assert (config.lr, config.lr_batch_size) == (0.01, 16)  # what is saved is what was asked for

    def test_tunes_from_weights_until_there_is_a_checkpoint(self) -> None:
        config = train("--tune_from a.pth --resume auto")
        assert (config.tune_from, config.resume) == ("a.pth", "auto")

    def test_config_as_json_able_values(self) -> None:
        config = train("--motion none --gpus 0 1")
        values = json.loads(json.dumps(config_dict(config)))
        assert (values["gpus"], values["model"]["motion"], values["root_log"]) == ([0, 1], [], "log")
        assert set(values) == {f.name for f in fields(config)} - {"given"}

    def test_frozen(self) -> None:
        with pytest.raises(AttributeError):
            train().lr = 3  # type: ignore[misc]


class TestTestFlags:
    @pytest.mark.parametrize(
        ("text", "field", "value"),
        [
            ("--test_segments 16", "models", (TestModel(None, Path("a.pth"), 16),)),
            ("--archs resnet18", "models", (TestModel("resnet18", Path("a.pth"), None),)),
            ("--coeff 0.5", "models", (TestModel(None, Path("a.pth"), None, 0.5),)),
            (
                "--weights a,b --test_segments 8,16 --coeff 1,2.5",
                "models",
                (TestModel(None, Path("a"), 8), TestModel(None, Path("b"), 16, 2.5)),
            ),
            (
                "--weights a,b --archs resnet10,resnet18",
                "models",
                (TestModel("resnet10", Path("a"), None), TestModel("resnet18", Path("b"), None)),
            ),
            (
                "--weights a,b --model tsm,tdn",
                "models",
                (TestModel(None, Path("a"), None, network="tsm"), TestModel(None, Path("b"), None, network="tdn")),
            ),
            ("--model tsm", "models", (TestModel(None, Path("a.pth"), None, network="tsm"),)),
            ("--motion shift", "motion", ("shift",)),
            ("--motion none", "motion", ()),
            ("", "motion", None),
            ("--motion_window 8", "motion_window", 8),
            ("--num_clips 5 --clip_index 4", "clips", (4,)),
            ("--num_clips 5 --clip_index 0,3", "clips", (0, 3)),
            ("--num_clips 5 --clip_index all", "clips", (0, 1, 2, 3, 4)),
            ("--clip_sampling random", "clip_sampling", "random"),
            ("--dense_sample", "dense_sample", True),
            ("--seed 4", "seed", 4),
            ("--input_size 112", "input_size", 112),
            ("--full_res", "full_res", True),
            ("--batch_size 3", "batch_size", 3),
            ("-j 0", "workers", 0),
            ("--workers 2", "workers", 2),
            ("--gpus 1 2", "gpus", (1, 2)),
            ("--amp fp16", "amp", "fp16"),
            ("--compile", "compile", True),
            ("--decoder pyav", "decoder", "pyav"),
            ("--max_num 5", "max_num", 5),
            ("--softmax", "softmax", True),
            ("--overwrite", "overwrite", True),
            ("--resume_scores", "resume_scores", True),
            ("--csv_file p.csv", "csv_file", Path("p.csv")),
            ("--output_dir elsewhere", "output_dir", Path("elsewhere")),
        ],
    )
    @pytest.mark.parametrize("parse", [centre, three])
    def test_value(self, parse: Callable[[str], TestConfig], text: str, field: str, value: Any) -> None:
        assert getattr(parse(text), field) == value

    @pytest.mark.parametrize(
        "words", ["motion --weights a.pth", "--weights a.pth motion", "--local-rank=0 motion --weights a.pth"]
    )
    def test_the_data_set_stands_anywhere(self, words: str) -> None:
        assert parse_test(centre_script.SCRIPT, words.split()).data.name == "motion"

    @pytest.mark.parametrize(
        ("script", "weights", "folder"),
        [
            (centre_script, "d/TSM_kinetics_RGB_e50.pth", "results/TSM_kinetics_RGB_e50_1x1"),
            (three_script, "checkpoint/run/best.pth.tar", "results/run_best_3x10"),
            (centre_script, "a/last.pth.tar,b/12_epoch_ckpt.pth.tar", "results/a_last+b_12_epoch_ckpt_1x1"),
        ],
    )
    def test_weights_alone(self, script: Any, weights: str, folder: str) -> None:
        config = parse_test(script.SCRIPT, ["--weights", weights])
        assert config.output_dir == Path(folder)
        assert "on the data set that the checkpoint says" in config.headline(1)

    def test_lists(self) -> None:
        assert centre().dataset.val_list == Path("data/motion/val_videos.txt")
        assert centre("--val_list v.txt").dataset.val_list == Path("v.txt")
        assert centre("--test_list t.txt").dataset.val_list == Path("t.txt")

    def test_scripts_differ_in_crops_and_clips(self) -> None:
        assert (centre().num_crops, centre().num_clips, centre().clips) == (1, 1, (0,))
        assert (three().num_crops, three().num_clips, three().clips) == (3, 10, (0,))


class TestRefused:
    @pytest.mark.parametrize("modality", ["Flow", "RGBDiff"])
    def test_other_modalities(self, modality: str) -> None:
        message = refusal(lambda text: parse_train(text.split()), f"something {modality}")
        assert "RGB" in message and modality in message

    @pytest.mark.parametrize(
        "text",
        [
            "--arch resnet51", "--arch BNInception", "--num_segments 1", "--num_segments 0", "--num_segments x",
            "--consensus_type max", "--dropout 1", "--dropout -0.1", "--dropout 50%", "--motion flow",
            "--motion stpme,flow", "--model i3d", "--model tdn --motion stpme", "--model tsm --motion_window 4",
            "--model tsn --motion_weight 0.5", "--motion ltdm", "--motion ''",
            "--loss_type mse", "--epochs 0", "--epochs 1.5", "-b 0", "-b x",
            "--accumulate 0", "--lr 0", "--lr -1", "--lr nan", "--lr x", "--lr_scheduler linear", "--lr_steps",
            "--lr_steps a", "--lr_steps nan", "--lr_steps -1", "--lr_decay_rate nan", "--lr_decay_rate 0",
            "--momentum 1", "--momentum -0.1", "--wd -1", "--wd inf", "--gd 0", "--gd -1",
            "--warmup_epoch -1",
            "--warmup_epoch 60", "--warmup_multiplier 0.5", "--warmup_multiplier inf",
            "--npb --partialbn", "--param_groups caffe",
            "--print-freq 0", "--eval-freq 0", "-j -1", "-e", "--start-epoch -1", "--start-epoch 60", "--gpus x",
            "--gpus", "--input_size 31", "--amp int8", "--seed -1", "--seed x", "--decoder ffmpeg",
            "--tune_from a --resume b", "--lr_batch_size 0", "--lr_batch_size x",
            "--num_class 0", "--num_class x", "--image_tmpl x.jpg", "--storage tapes",
            "--split 1", "--class_names nowhere.txt", "--dataset_config nowhere.toml", "--no-such-flag", "extra",
            "--dense_sample --num_segments 65",
        ],
    )  # fmt: skip
    def test_training(self, text: str) -> None:
        refusal(train, text)

    def test_negative_gpus(self) -> None:
        refusal(train, "--gpus -1")

    @pytest.mark.parametrize("words", [[], ["something"], ["nobody knows it", "RGB"], ["something", "rgb"]])
    def test_positional_arguments(self, words: list[str]) -> None:
        with pytest.raises(InputError):
            parse_train(words)

    @pytest.mark.parametrize("parse", [centre, three])
    @pytest.mark.parametrize(
        "text",
        [
            "--archs resnet51", "--archs resnet10,resnet18", "--weights a,b --archs resnet10,resnet18,resnet34",
            "--test_segments 1", "--test_segments 8,16", "--test_segments x", "--test_segments ''", "--coeff x",
            "--coeff 1,2", "--coeff nan", "--coeff 0", "--coeff inf",
            "--test_crops 2", "--test_crops 10", "--clip_index 10", "--clip_index -1", "--clip_index x",
            "--clip_index ''", "--num_clips 0", "--num_clips 0 --clip_index all", "--clip_sampling odd",
            "--batch_size 0", "-j -1", "--input_size 20", "--max_num 0", "--amp fp8", "--motion flow",
            "--model i3d", "--model tsm,tdn", "--model tdn --motion stpme",
            "--dense_sample --test_segments 65", "--no-such-flag",
        ],
    )  # fmt: skip
    def test_testing(self, parse: Callable[[str], Any], text: str) -> None:
        refusal(parse, text)

    @pytest.mark.parametrize("parse", [centre, three])
    def test_negative_seed_of_random_clips(self, parse: Callable[[str], Any]) -> None:
        refusal(parse, "--clip_sampling random --seed -1")

    @pytest.mark.parametrize("words", ["motion", "motion --output_dir DIR", "--output_dir DIR"])
    def test_required_of_testing(self, words: str) -> None:
        with pytest.raises(InputError):
            parse_test(centre_script.SCRIPT, words.split())

    @pytest.mark.parametrize(
        "text",
        ["--num_clips 0", "--test_crops 0", "--num_clips x", "--multi_segments", "--output_dir1 DIR",
         "--multi_segments --output_dir1 nowhere", "--output_dir nowhere", "--no-such-flag", "extra"],
    )  # fmt: skip
    def test_results(self, text: str) -> None:
        refusal(results, text)

    def test_results_need_a_folder(self) -> None:
        with pytest.raises(InputError, match="output_dir"):
            parse_results([])

    def test_two_folders(self) -> None:
        Path("other").mkdir()
        config = results("--multi_segments --output_dir1 other --per_class --class_names n.txt")
        assert config.folders == (Path("DIR"), Path("other"))
        assert (config.class_names, config.per_class) == (Path("n.txt"), True)
