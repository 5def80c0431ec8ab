"""The four scripts as their users run them: subprocesses, real files, real processes."""

import csv
import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ops.checkpoints.filling import load_weights
from ops.models.build import build_model
from ops.runtime.command_line import processors
from ops.runtime.folder_lock import hold
from tests.commands import SMALL_TRAINING, run_ranks, run_script, succeeded, torchrun

RUN = "MSN_motion_RGB_resnet10_avg_segment2"
SMALL_TEST = (
    "motion", "--archs", "resnet10", "--weights", f"checkpoint/{RUN}/best.pth.tar", "--test_segments=2",
    "--input_size", "32", "--batch_size=4", "--gpus", "0", "-j", "1",
)  # fmt: skip


def scores_of(path: Path) -> np.ndarray:
    return np.concatenate([row[0] for row in pickle.loads(path.read_bytes())])


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def differing(a: Path, b: Path) -> list[str]:
    """Names of the weights that are not bit-identical in two checkpoints."""
    first, second = weights_of(a), weights_of(b)
    assert first.keys() == second.keys()
    return [name for name in first if not torch.equal(first[name], second[name])]


class TestTraining:
    def test_leaves_what_the_readme_promises(self, trained_folder):
        models, logs = trained_folder / "checkpoint" / RUN, trained_folder / "log" / RUN
        assert {p.name for p in models.iterdir()} == {
            "1_epoch_ckpt.pth.tar", "2_epoch_ckpt.pth.tar", "best.pth.tar", "last.pth.tar", "config.json", ".lock",
        }  # fmt: skip
        text = (logs / "log.txt").read_text()
        assert "epoch 2/2 step 4/4: loss" in text
        assert "2 frames x 1 crop x 1 clip, 32 x 32 px from short side 36, motion val_videos.txt (7 videos)" in text
        settings = json.loads((logs / "config.json").read_text())
        assert settings["model"]["num_segments"] == 2 and settings["lr"] == 0.01 and settings["clip_gradient"] == 20

    def test_writes_tensorboard_scalars(self, trained_folder):
        events = EventAccumulator(str(trained_folder / "log" / RUN)).Reload()
        wanted = {f"train/{n}" for n in ("loss", "top1", "top5", "lr", "step_time", "data_time")}
        assert wanted | {"val/loss", "val/top1", "val/top5"} <= set(events.Tags()["scalars"])
        assert [e.step for e in events.Scalars("val/top1")] == [1, 2]
        assert all(e.value == pytest.approx(0.01) for e in events.Scalars("train/lr"))

    def test_sums_an_epoch_up(self, trained_folder):
        """Two lines of two steps each; the summary is of all four."""
        text = (trained_folder / "log" / RUN / "log.txt").read_text()
        assert "no class names" not in text
        events = EventAccumulator(str(trained_folder / "log" / RUN)).Reload()
        for epoch in (1, 2):
            steps = [float(x) for x in re.findall(rf"epoch {epoch}/2 step \d/4: loss ([\d.]+)", text)]
            (loss,) = re.findall(rf"epoch {epoch}/2 trained: loss ([\d.]+), top-1 [\d.]+ %, top-5 [\d.]+ %", text)
            assert len(steps) == 2 and float(loss) == pytest.approx(sum(steps) / 2, abs=2e-4)
            (scalar,) = (e.value for e in events.Scalars("train_epoch/loss") if e.step == epoch)
            assert scalar == pytest.approx(float(loss), abs=1e-4)

    def test_checkpoint_loads_into_the_public_model(self, trained_folder):
        model = build_model("resnet10", num_classes=8, num_segments=2, pretrain="none").eval()
        extra = load_weights(model, trained_folder / "checkpoint" / RUN / "2_epoch_ckpt.pth.tar")
        assert extra["epoch"] == 2 and extra["arch"] == "resnet10"
        with torch.no_grad():
            assert model(torch.zeros(1, 2, 5, 3, 32, 32)).shape == (1, 8)

    def test_refuses_to_overwrite_an_earlier_run(self, trained_folder):
        before = (trained_folder / "checkpoint" / RUN / "last.pth.tar").stat().st_mtime_ns
        result = run_script("main.py", "motion", "RGB", *SMALL_TRAINING, "--epochs", "2", cwd=trained_folder)
        assert result.returncode == 2 and "--resume auto" in result.stderr
        assert result.stderr.count("\n") == 1
        assert (trained_folder / "checkpoint" / RUN / "last.pth.tar").stat().st_mtime_ns == before

    def test_evaluate_reports_what_training_reported(self, trained_folder):
        last = f"checkpoint/{RUN}/2_epoch_ckpt.pth.tar"
        arguments = ("motion", "RGB", *SMALL_TRAINING, "--resume", last, "-e")
        output = succeeded(run_script("main.py", *arguments, cwd=trained_folder))
        logged = [
            line for line in (trained_folder / "log" / RUN / "log.txt").read_text().splitlines() if "(epoch 2)" in line
        ]
        assert output.split("validation: ")[1].strip() == logged[-1].split("validation: ")[1].strip()

    def test_resumed_run_equals_an_uninterrupted_one(self, trained_folder):
        """Two epochs at once, or one and then another in a new process: the same weights, bit by bit."""
        resumed = RUN + "_resumed"
        models = trained_folder / "checkpoint" / resumed
        models.mkdir()
        shutil.copy(trained_folder / "checkpoint" / RUN / "1_epoch_ckpt.pth.tar", models / "last.pth.tar")
        arguments = (*SMALL_TRAINING, "--epochs", "2", "--suffix", "resumed", "--resume", "auto", "-j", "2")
        output = succeeded(run_script("main.py", "motion", "RGB", *arguments, cwd=trained_folder))
        assert "last.pth.tar after 1 epoch\n" in output
        assert differing(models / "last.pth.tar", trained_folder / "checkpoint" / RUN / "last.pth.tar") == []

    def test_another_course_has_a_best_of_its_own(self, trained_folder):
        checkpoint = torch.load(trained_folder / "checkpoint" / RUN / "2_epoch_ckpt.pth.tar", weights_only=True)
        checkpoint["position"] |= {"best_top1": 99.9, "best_epoch": 1}
        torch.save(checkpoint, trained_folder / "good.pth.tar")
        arguments = (*SMALL_TRAINING, "--resume", "good.pth.tar", "--start-epoch", "0", "--epochs", "1")
        output = succeeded(run_script("main.py", "motion", "RGB", *arguments, "--suffix", "anew", cwd=trained_folder))
        best = torch.load(trained_folder / "checkpoint" / f"{RUN}_anew" / "best.pth.tar", weights_only=True)["position"]
        assert f"top-1 {best['best_top1']:.2f} %" in output.split("validation: ")[1] and best["best_epoch"] == 1

    def test_a_run_in_a_folder_of_its_own_has_a_best_and_a_log_of_its_own(self, trained_folder):
        best = f"checkpoint/{RUN}/best.pth.tar"
        checkpoint = torch.load(trained_folder / best, weights_only=True)
        checkpoint["position"] |= {"best_top1": 99.9}
        torch.save(checkpoint, trained_folder / "unbeatable.pth.tar")
        arguments = ("motion", "RGB", *SMALL_TRAINING, "--epochs", "3", "--suffix", "own")
        resumed = run_script("main.py", *arguments, "--resume", "unbeatable.pth.tar", cwd=trained_folder)
        models, logs = (trained_folder / kind / f"{RUN}_own" for kind in ("checkpoint", "log"))
        validated = re.findall(r"validation: loss [\d.]+, top-1 ([\d.]+) %", succeeded(resumed))
        position = torch.load(models / "best.pth.tar", weights_only=True)["position"]
        assert f"{position['best_top1']:.2f}" == max(validated, key=float) and position["best_epoch"] > 0
        shutil.rmtree(models)
        succeeded(run_script("main.py", *arguments, "--epochs", "1", "--print-freq", "4", cwd=trained_folder))
        lines = (logs / "log.txt").read_text().splitlines()
        assert (
            f"training {RUN}_own: resnet10, 2 segments, 32 px, on motion (8 classes), 1 epoch, learning rate"
            in lines[0]
        )
        assert [line for line in lines if "epoch 1/1 step" in line] and "unbeatable" not in "".join(lines)
        assert "unbeatable" in (logs / "earlier_1/log.txt").read_text()
        events = EventAccumulator(str(logs)).Reload()
        assert [e.step for e in events.Scalars("val/top1")] == [1]

    def test_five_classes_or_fewer_have_no_top5(self, trained_folder):
        """And what the settings may have overlooked is said, in the project's own words."""
        (trained_folder / "three.txt").write_text("".join(f"{i:05d}.mp4 {i % 3}\n" for i in range(7)))
        workers = str(processors() + 1)
        arguments = (
            "mine", "RGB", *SMALL_TRAINING, "--epochs", "1", "--suffix", "three", "--num_class", "3", "-j", workers,
            "--storage", "videos", "--root_path", "data/motion/videos/train",
            "--train_list", "three.txt", "--val_list", "three.txt",
        )  # fmt: skip
        result = run_script("main.py", *arguments, cwd=trained_folder)
        output = succeeded(result)
        assert "top-5" not in output and output.count("top-1") >= 3 and "(3 classes)" in output
        assert (
            "3 of 7 training videos are skipped in every epoch" in output and ", 1 step an epoch of 4 videos" in output
        )
        assert "the learning rate never decays: none of --lr_steps 30 45 55 is below --epochs 1" in output
        assert (
            output.count(f"{workers} data-loading workers share ") == 1 and "UserWarning" not in output + result.stderr
        )
        logs = trained_folder / "log" / f"{RUN.replace('motion', 'mine')}_three"
        scalars = EventAccumulator(str(logs)).Reload().Tags()["scalars"]
        assert {"train/top1", "val/top1"} <= set(scalars) and not [name for name in scalars if "top5" in name]

    def test_tunes_from_a_checkpoint_with_another_head(self, trained_folder):
        (trained_folder / "two_classes.txt").write_text("00000.mp4 0\n00001.mp4 1\n" * 2)
        arguments = (
            "mine", "RGB", *SMALL_TRAINING, "--epochs", "1", "--suffix", "tuned", "--num_class", "2",
            "--storage", "videos", "--root_path", "data/motion/videos/train",
            "--train_list", "two_classes.txt", "--val_list", "two_classes.txt",
            "--tune_from", f"checkpoint/{RUN}/best.pth.tar",
        )  # fmt: skip
        output = succeeded(run_script("main.py", *arguments, cwd=trained_folder))
        assert "new parameters: head.weight, head.bias" in output
        assert "no class names (data/motion/videos/train/classes.txt or --class_names): flipped clips keep" in output

    def test_frame_folders_and_a_toml_file(self, trained_folder):
        (trained_folder / "mine.toml").write_text(
            'storage = "frames"\nroot = "data/motion"\ntrain_list = "data/motion/train_frames.txt"\n'
            'val_list = "data/motion/val_frames.txt"\nclass_names = "data/motion/classes.txt"\n'
        )
        options = (
            "--partialbn", "--accumulate", "2", "--amp", "bf16", "--channels_last", "--consensus_type", "identity",
            "--param_groups", "tsn", "--dense_sample", "--lr_scheduler", "cosine", "--dropout", "0",
        )  # fmt: skip
        small = [option for option in SMALL_TRAINING if option != "--npb"]
        arguments = ("mine", "RGB", "--dataset_config", "mine.toml", *small, *options, "--epochs", "1", "-b", "2")
        output = succeeded(run_script("main.py", *arguments, cwd=trained_folder))
        assert "step 4/4" in output and "mine val_frames.txt (7 videos)" in output


class TestProcesses:
    def test_two_processes_train_validate_and_test_like_one(self, trained_folder):
        """Two gloo processes: validation counts each video once, score files are byte-identical to one process's."""
        partial = ["--partialbn" if option == "--npb" else option for option in SMALL_TRAINING]
        arguments = ("motion", "RGB", *partial, "-b", "2", "--epochs", "1", "--suffix", "two")
        output = succeeded(torchrun(2, "main.py", *arguments, cwd=trained_folder))
        assert output.count("step 4/4") == 1 and "batches of 2 videos x 2 processes x 1 accumulated" in output
        reported = output.split("validation: ")[1].split("   [")[0]
        two = f"{RUN}_two"
        alone = run_script(
            "main.py", "motion", "RGB", *SMALL_TRAINING, "-b", "2", "-e", "--resume", f"checkpoint/{two}/last.pth.tar",
            cwd=trained_folder,
        )  # fmt: skip
        assert succeeded(alone).split("validation: ")[1].split("   [")[0] == reported

        succeeded(run_script("test_models_center_crop.py", *SMALL_TEST, "--output_dir", "one", cwd=trained_folder))
        succeeded(run_ranks(2, "test_models_center_crop.py", *SMALL_TEST, "--output_dir", "pair", cwd=trained_folder))
        for name in ("0_crop0.pkl", "0_crop0.json"):
            assert (trained_folder / "one" / name).read_bytes() == (trained_folder / "pair" / name).read_bytes()


class TestTestScripts:
    def test_centre_crop_scores_are_the_models(self, trained_folder):
        output = succeeded(
            run_script("test_models_center_crop.py", *SMALL_TEST, "--output_dir", "centre", "--csv_file", "top.csv",
                       cwd=trained_folder)
        )  # fmt: skip
        assert "no GPU here, running on the CPU" in output
        results = succeeded(
            run_script("pkl_to_results.py", "--num_clips", "1", "--test_crops", "1", "--output_dir", "centre",
                       cwd=trained_folder)
        )  # fmt: skip
        assert "7 videos" in results and "(epoch " in results
        printed = output.split("top-1 ")[1].split("   [")[0]
        assert results.startswith(f"top-1 {printed}")
        rows = pickle.loads((trained_folder / "centre" / "0_crop0.pkl").read_bytes())
        labels = [int(x.split()[1]) for x in (trained_folder / "data/motion/val_videos.txt").read_text().splitlines()]
        assert [row[1] for row in rows] == labels
        assert all(row[0].shape == (1, 8) and row[0].dtype == np.float32 for row in rows)
        names = (trained_folder / "data/motion/classes.txt").read_text().splitlines()
        beside = json.loads((trained_folder / "centre" / "0_crop0.json").read_text())
        assert beside["class_names"] == names
        assert list(json.loads((trained_folder / "centre" / "results.json").read_text())["per_class"]) == names
        table = list(csv.DictReader((trained_folder / "top.csv").read_text().splitlines()))
        assert [(row["label"], row["class"]) for row in table] == [(str(label), names[label]) for label in labels]
        for row, (scores, _) in zip(table, rows, strict=True):
            exact = np.exp(scores[0].astype(float)) / np.exp(scores[0].astype(float)).sum()
            ranked = np.argsort(-exact)[:5].tolist()
            assert [int(row[f"top{place}"]) for place in range(1, 6)] == ranked
            assert [row[f"top{place}_class"] for place in range(1, 6)] == [names[number] for number in ranked]
            probabilities = [float(row[f"top{place}_probability"]) for place in range(1, 6)]
            assert probabilities == pytest.approx(exact[ranked], abs=1e-6)

    def test_three_crops_one_run_or_clip_by_clip(self, trained_folder):
        every = (*SMALL_TEST, "--full_res", "--num_clips", "2", "--average", "logits")
        reported = succeeded(
            run_script("test_models_three_crops.py", *every, "--clip_index", "all", "--output_dir", "all",
                       cwd=trained_folder)
        )  # fmt: skip
        for clip in "01":
            succeeded(
                run_script("test_models_three_crops.py", *every, "--clip_index", clip, "--output_dir", "single",
                           cwd=trained_folder)
            )  # fmt: skip
        for clip in range(2):
            for crop in range(3):
                name = f"{clip}_crop{crop}.pkl"
                together, apart = scores_of(trained_folder / "all" / name), scores_of(trained_folder / "single" / name)
                assert together == pytest.approx(apart, rel=1e-4, abs=1e-5)
        results = succeeded(
            run_script("pkl_to_results.py", "--num_clips", "2", "--test_crops", "3", "--output_dir", "all",
                       cwd=trained_folder)
        )  # fmt: skip
        assert "2 frames x 3 crops x 2 clips, 36 x 36 px from short side 36" in results
        views = [scores_of(trained_folder / "all" / f"{clip}_crop{crop}.pkl") for clip in "01" for crop in range(3)]
        labels = [int(x.split()[1]) for x in (trained_folder / "data/motion/val_videos.txt").read_text().splitlines()]
        top1 = f"top-1 {100 * np.mean(np.mean(views, axis=0).argmax(axis=1) == labels):.2f} %"
        for output in (reported.splitlines()[-2], results):  # the rule is recorded with the scores
            assert top1 in output and "views averaged as logits" in output

    def test_two_models_are_a_weighted_sum_over_their_number(self, trained_folder):
        first, second = f"checkpoint/{RUN}/1_epoch_ckpt.pth.tar", f"checkpoint/{RUN}/2_epoch_ckpt.pth.tar"
        small = [o for o in SMALL_TEST if "pth.tar" not in o and o not in ("--weights", "--test_segments=2")]

        def score(folder: str, *arguments: str) -> np.ndarray:
            command = ("test_models_center_crop.py", *small, *arguments, "--output_dir", folder)
            succeeded(run_script(*command, cwd=trained_folder))
            return scores_of(trained_folder / folder / "0_crop0.pkl")

        a = score("a", "--weights", first, "--test_segments", "2")
        b = score("b", "--weights", second, "--test_segments", "4")
        both = score("both", "--weights", f"{first},{second}", "--test_segments", "2,4", "--coeff", "2,1")
        assert both == pytest.approx((2 * a + b) / 2, rel=1e-4, abs=1e-5)
        after = ("--weights", f"{first},{second}", "--test_segments", "2,4", "--coeff", "2,1", "--softmax")
        probabilities = np.exp(score("after", *after))
        assert probabilities == pytest.approx((2 * softmax(a, axis=1) + softmax(b, axis=1)) / 2, rel=1e-4)

    def test_scores_of_other_settings_are_not_overwritten(self, trained_folder):
        run_script("test_models_center_crop.py", *SMALL_TEST, "--output_dir", "kept", cwd=trained_folder)
        before = (trained_folder / "kept" / "0_crop0.pkl").read_bytes()
        other = run_script(
            "test_models_center_crop.py", *SMALL_TEST, "--full_res", "--output_dir", "kept", cwd=trained_folder
        )
        assert other.returncode == 2 and "--overwrite" in other.stderr and other.stderr.count("\n") == 1
        assert (trained_folder / "kept" / "0_crop0.pkl").read_bytes() == before
        again = ("test_models_center_crop.py", *SMALL_TEST, "--output_dir", "kept", "--resume_scores")
        other = run_script(*again, "--amp", "bf16", cwd=trained_folder)
        assert other.returncode == 2 and "--overwrite" in other.stderr and other.stderr.count("\n") == 1
        other = run_script(*again, "--csv_file", "nowhere/top.csv", cwd=trained_folder)
        assert other.returncode == 2 and "nowhere" in other.stderr and other.stderr.count("\n") == 1
        (trained_folder / "elsewhere").mkdir()
        for name in ("val_videos.txt", "classes.txt", "videos"):
            (trained_folder / "elsewhere" / name).symlink_to(trained_folder / "data/motion" / name)
        other = run_script(*again, "--root_path", "elsewhere", cwd=trained_folder)
        assert other.returncode == 2 and "--overwrite" in other.stderr and other.stderr.count("\n") == 1
        output = succeeded(run_script(*again, cwd=trained_folder))
        assert "nothing to do: kept already has all scores" in output
        assert (trained_folder / "kept" / "0_crop0.pkl").read_bytes() == before
        lines = (trained_folder / "data/motion/val_videos.txt").read_text().splitlines()
        (trained_folder / "relabelled").mkdir()
        (trained_folder / "relabelled" / "val_videos.txt").write_text("\n".join([f"{lines[0][:-1]}5", *lines[1:]]))
        succeeded(run_script(*again, "--test_list", "relabelled/val_videos.txt", cwd=trained_folder))
        rows = pickle.loads((trained_folder / "kept" / "0_crop0.pkl").read_bytes())
        assert [row[1] for row in rows][:2] == [5, 1]

    def test_the_folders_of_a_run_that_is_running_are_refused(self, trained_folder):
        (trained_folder / "taken").mkdir()
        locks = [hold(trained_folder / path) for path in (f"checkpoint/{RUN}/.lock", "taken/.clips_0_to_0.lock")]
        train = ("main.py", "motion", "RGB", *SMALL_TRAINING, "--epochs", "3", "--resume", "auto")
        test = ("test_models_center_crop.py", *SMALL_TEST, "--output_dir", "taken")
        for command, folder in ((train, f"checkpoint/{RUN}"), (test, "taken")):
            refused = run_script(*command, cwd=trained_folder)
            assert refused.returncode == 2 and refused.stderr.count("\n") == 1
            assert f"{folder}: expected no other run in this folder, got one that is running" in refused.stderr
        for lock in locks:
            lock.close()

    def test_scores_that_are_not_finite_are_refused(self, trained_folder):
        """Neither validated nor written: NaN is no accuracy."""
        content = torch.load(trained_folder / "checkpoint" / RUN / "last.pth.tar", weights_only=True)
        content["state_dict"]["head.bias"][3] = float("nan")
        torch.save(content, trained_folder / "nan.pth.tar")
        test = [option.replace(f"checkpoint/{RUN}/best.pth.tar", "nan.pth.tar") for option in SMALL_TEST]
        validate = ("motion", "RGB", *SMALL_TRAINING, "-e", "--resume", "nan.pth.tar")
        for command in (("main.py", *validate), ("test_models_center_crop.py", *test, "--output_dir", "nan")):
            refused = run_script(*command, cwd=trained_folder)
            assert refused.returncode == 2 and refused.stderr.count("\n") == 1
            assert "expected a finite loss of nan.pth.tar" in refused.stderr or (
                "videos/val/00000.mp4: expected finite scores" in refused.stderr
            )
        assert list((trained_folder / "nan").glob("*.pkl")) == []
