"""The study: interrupted and continued, what it finds, its page and plot."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.benchmark.study import runs
from ops.benchmark.study.findings import Accuracy, Findings
from ops.benchmark.study.page import Cost, draw, page
from ops.benchmark.study.recipes import recipes_table
from ops.benchmark.study.runs import CLASS_SETS, VARIANTS, Schedule, StudyOptions, planned_runs, run_study
from ops.benchmark.study.study import costs_of, make_study
from ops.runtime import InputError, Stopped
from ops.settings import TrainConfig, config_dict
from tests.commands import REPOSITORY, run_script

TINY = Schedule("resnet10", 2, 32, 32, train_clips=8, val_clips=8, epochs=1, batch_size=4, lr=0.01)
COSTS = {variant.name: Cost(number + 1, number + 2, 100 - number) for number, variant in enumerate(VARIANTS)}


def options(folder: Path, limit: int | None = None, schedule: Schedule = TINY) -> StudyOptions:
    return StudyOptions(schedule, folder / "study.json", folder / "runs", seeds=1, limit=limit)


class TestPlan:
    def test_every_network_on_every_set_with_every_seed(self) -> None:
        planned = list(planned_runs(2))
        assert len(planned) == len({run.key for run in planned}) == 7 * 3 * 2
        assert [run.seed for run in planned] == [0] * 21 + [1] * 21

    def test_runs_differ_in_network_data_and_seed_only(self, tmp_path: Path) -> None:
        def settings(run: runs.Run) -> dict:
            config = config_dict(runs.training_config(run, options(tmp_path), tmp_path / run.classes))
            model = {name: value for name, value in config["model"].items() if name not in ("network", "motion")}
            return {**config, "model": model} | dict.fromkeys(("dataset", "seed", "suffix"))

        first, *others = [settings(run) for run in planned_runs(2)]
        assert all(other == first for other in others)

    def test_networks_are_those_that_are_named(self, tmp_path: Path) -> None:
        configs = [runs.training_config(run, options(tmp_path), tmp_path) for run in planned_runs(1)][:7]
        assert [config.model.motion for config in configs[3:]] == [
            ("stpme", "dsme", "shift"), ("dsme", "shift"), ("stpme", "shift"), ("stpme", "dsme"),
        ]  # fmt: skip
        assert [config.model.network for config in configs] == ["tsn", "tsm", "tdn", *["msn"] * 4]


class TestRecipes:
    def test_each_with_every_seed_differs_in_its_options_only(self, tmp_path: Path) -> None:
        planned = list(planned_runs(3, "recipes"))
        assert [(run.variant.name, run.seed) for run in planned] == [
            (name, seed) for seed in range(3)
            for name in ("published", "+ flip", "+ RandAugment", "+ mixup", "+ EMA", "all")
        ]  # fmt: skip
        published, *others = [
            config_dict(runs.training_config(run, options(tmp_path), tmp_path)) | {"suffix": ""} for run in planned[:6]
        ]
        changed = [{key for key in published if published[key] != other[key]} for other in others]
        assert changed == [{"flip"}, {"augment"}, {"mixup"}, {"ema"}, {"flip", "augment", "mixup", "ema"}]

    def test_run_and_table(self, tmp_path: Path) -> None:
        """The last of them with all options, in miniature; its accuracy is that of averaged weights."""
        plan = StudyOptions(TINY, tmp_path / "recipes.json", tmp_path / "runs", seeds=1, compares="recipes")
        keys = [run.key for run in planned_runs(1, "recipes")]
        done = {"schedule": vars(TINY), "top1": dict.fromkeys(keys[:-1], 40.0)}
        plan.results.write_text(json.dumps(done))
        (table,) = make_study(plan)
        (log,) = (tmp_path / "runs/log").glob("*all_all_seed_0/log.txt")
        (accuracy,) = re.findall(r"validation: loss .*, top-1 ([\d.]+) %, .*EMA weights\)", log.read_text())
        assert f"| all | {float(accuracy):.1f} |" in table.read_text()
        assert "so nothing of this is known" in table.read_text()

    def test_the_training_guide_has_the_table_of_the_results(self) -> None:
        found = json.loads((REPOSITORY / "docs/recipes.json").read_text())
        schedule = Schedule(**found["schedule"])
        table = recipes_table(Findings(found["top1"], 3, schedule.val_clips, "recipes"))
        assert table in (REPOSITORY / "docs/training.md").read_text(encoding="utf-8")

    def test_clear_differences_are_bold(self) -> None:
        top1 = {run.key: 50.0 + run.seed for run in planned_runs(3, "recipes")}
        top1 |= {f"+ flip, all, seed {seed}": 60.0 + seed for seed in range(3)}
        text = recipes_table(Findings(top1, 3, 280, "recipes"))
        assert "| + flip | 60.0 | 61.0 | 62.0 | 61.0 | **+10.0** |" in text
        assert "| + EMA | 50.0 | 51.0 | 52.0 | 51.0 | +0.0 |" in text and "varies by 1.0 points" in text


class TestInterrupted:
    def test_continues(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One run, then one whose training is stopped after it was saved, then that one again and no more."""
        first, second = (run.key for run in list(planned_runs(1))[:2])
        assert list(run_study(options(tmp_path, limit=1))) == [first]
        saved = json.loads((tmp_path / "study.json").read_text())
        assert list(saved["top1"]) == [first] and 0 <= saved["top1"][first] <= 100

        trained: list[str] = []
        train = runs.train

        def stopped(config: TrainConfig, device: object) -> None:
            train(config, device)  # type: ignore[arg-type]
            trained.append(str(config.suffix))
            raise Stopped("SIGTERM")

        monkeypatch.setattr(runs, "train", stopped)
        with pytest.raises(Stopped):
            run_study(options(tmp_path))
        assert trained == ["TSM_local_seed_0"]
        assert json.loads((tmp_path / "study.json").read_text()) == saved
        (checkpoint,) = (tmp_path / "runs" / "checkpoint").glob("*/last.pth.tar")

        monkeypatch.setattr(runs, "train", train)
        found = run_study(options(tmp_path, limit=1))
        assert list(found) == [first, second] and found[first] == saved["top1"][first]
        (log,) = (tmp_path / "runs" / "log").glob("*TSM*/log.txt")
        assert "already trained for 1 epoch" in log.read_text()
        assert not checkpoint.exists()

    def test_another_schedule_is_not_mixed_in(self, tmp_path: Path) -> None:
        (tmp_path / "study.json").write_text(json.dumps({"schedule": vars(TINY), "top1": {"TSN, local, seed 0": 1.0}}))
        other = Schedule(**vars(TINY) | {"epochs": 2})
        with pytest.raises(InputError, match=r"study\.json: expected results of the schedule .*'epochs': 2.*"):
            run_study(options(tmp_path, schedule=other))

    @pytest.mark.parametrize("text", ["[]", "{}", "not JSON", '{"top1": {}}'])
    def test_a_file_of_something_else(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "study.json").write_text(text)
        with pytest.raises(InputError, match="expected results of a study"):
            run_study(options(tmp_path))
        assert (tmp_path / "study.json").read_text() == text


def made_up(seeds: int, **by_name: tuple[float, ...]) -> Findings:
    """All runs at 50 %, but for those of a network on the set ``order``: a value for each seed."""
    top1 = {run.key: 50.0 for run in planned_runs(seeds)}
    for name, values in by_name.items():
        top1 |= {f"{name}, order, seed {seed}": value for seed, value in enumerate(values)}
    return Findings(top1, seeds, 280)


class TestFindings:
    def test_mean_and_spread(self) -> None:
        findings = made_up(2, TDN=(40, 60))
        assert findings.accuracy(VARIANTS[2], "order") == Accuracy(50, 10, 2)
        assert findings.accuracy(VARIANTS[2], "all") == Accuracy(50, 0, 2)

    def test_noise_is_the_pooled_deviation(self) -> None:
        findings = made_up(2, TDN=(40, 60), TSM=(48, 52))
        pairs = [np.var(values, ddof=1) for values in findings.values.values()]
        assert findings.seed_noise == pytest.approx(np.sqrt(np.mean(pairs)))
        assert made_up(1).seed_noise is None

    def test_chance(self) -> None:
        findings = made_up(1)
        assert findings.is_chance(Accuracy(20, 0, 1), "order")  # of 16.7, with a standard error of 2.2
        assert not findings.is_chance(Accuracy(22, 0, 1), "order")

    def test_clear_differences(self) -> None:
        findings = made_up(
            2, TDN=(40, 60)
        )  # noise: sqrt(200 / 21) = 3.09 a run, as much for a difference of means of two
        one = Accuracy(50, 0, 2)
        assert findings.is_clear(one, Accuracy(56.3, 0, 2)) and not findings.is_clear(one, Accuracy(56.1, 0, 2))


class TestPage:
    def test_says_what_was_found(self) -> None:
        findings = made_up(2, MSN=(90, 92), TDN=(70, 72), TSM=(17, 18), TSN=(16, 17))
        text = page(TINY, findings, COSTS, "a machine, 2 cores", "study.png")
        assert "| MSN | 50.0 ± 0.0 | 91.0 ± 1.0 | 50.0 ± 0.0 | 4.000 | 5.00 | 97 |" in text
        assert "MSN (91.0 ± 1.0 %) and TDN (71.0 ± 1.0 %) do better than chance.\n" in text
        assert "TSM (17.5 ± 0.5 %) and TSN (16.5 ± 0.5 %) cannot be told from guessing (chance is 16.7 %).\n" in text
        assert "MSN is clearly ahead of TDN." in text
        assert "| STP-ME | +0.0 | **+41.0** | +0.0 |" in text
        assert "All 42 runs are finished: 2 of each." in text and "a machine, 2 cores" in text

    def test_says_what_is_missing(self) -> None:
        findings = made_up(2)
        kept = {key: v for key, v in findings.top1.items() if "seed 0" in key or key == "TSN, all, seed 1"}
        text = page(TINY, Findings(kept, 2, 280), COSTS, "a machine", "study.png")
        assert (
            "**22 of 42 runs are finished.** Missing: seed 1, local: all; seed 1, order: all; seed 1, all: TSM, TDN, "
            in text
        )
        assert "not run yet" not in text.lower()
        nothing = page(TINY, Findings({}, 2, 280), COSTS, "a machine", "study.png")
        assert "**0 of 42 runs" in nothing and nothing.count("Not run yet.") == len(CLASS_SETS)

    def test_plot_is_a_small_picture(self) -> None:
        png = draw(made_up(2, MSN=(90, 92)), COSTS)
        assert Image.open(io.BytesIO(png)).size == (1080, 810) and len(png) < 200_000

    def test_is_written_beside_the_results(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Costs are of the networks themselves; no run is made."""
        monkeypatch.setattr("ops.benchmark.study.study.ROUNDS", 1)
        text, plot = make_study(options(tmp_path, limit=0))
        assert (text.name, plot.name) == ("study.md", "study.png") and plot.read_bytes().startswith(b"\x89PNG")
        cost = costs_of(TINY)["TSN"]
        assert f"| TSN | not run | not run | not run | {cost.gmac:.3f} | {cost.parameters:.2f} |" in text.read_text()
        assert not (tmp_path / "runs").exists()


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    done = run_script("scripts/benchmarks/study.py", "--results", "missing/study.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: expected --results FILE in an existing folder, got missing/study.json\n"
