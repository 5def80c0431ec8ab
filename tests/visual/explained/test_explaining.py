"""explain.py: which files it writes for each network, and what it says of bad input."""

from pathlib import Path

import pytest
from PIL import Image

from ops.inference.sources import Source
from ops.runtime.errors import InputError
from ops.settings.command_lines import explain_parser, parse
from ops.settings.trained.explaining import ExplainConfig
from ops.visual.explained.explaining import Explaining, folders
from tests import media
from tests.clip_files import write_broken
from tests.commands import REPOSITORY, run_script
from tests.inference.explanation.random_networks import make_clip, random_network, save
from tests.pages import commands_with

ALWAYS = {"scores.png", "scores.csv", "class_map.png", "class_map.mp4"}
STAGES = ("layer2.0", "layer3.0", "layer4.0")


def explain(*words: str | Path) -> int:
    """explain.py in this process; its exit status."""
    return Explaining(parse(explain_parser(), ExplainConfig, [*map(str, words)])).run()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a video and a checkpoint of each network."""
    made = tmp_path_factory.mktemp("explain")
    make_clip(made)
    for network in ("msn", "tdn", "tsm", "tsn"):
        save(random_network(network), made / f"{network}.pth.tar")
    return made


class TestPictures:
    @pytest.mark.parametrize(
        ("network", "more"),
        [
            ("msn", {"branches.png", "gates.png", *(f"offsets_{stage}.png" for stage in STAGES)}),
            ("tdn", {"gates.png", *(f"gates_{stage}.png" for stage in STAGES)}),
            ("tsm", set()),
            ("tsn", set()),
        ],
    )
    def test_of_every_network(self, folder: Path, tmp_path: Path, network: str, more: set[str]) -> None:
        assert explain(folder / f"{network}.pth.tar", folder / "clip.mp4", "--out", tmp_path / "out") == 0
        files = {path.name: path for path in (tmp_path / "out" / "clip").iterdir()}
        assert set(files) == ALWAYS | more
        for name in files:
            if name.endswith(".png"):
                width, height = Image.open(files[name]).size
                assert width > 600 and height > 250, name
        assert len(media.frames_of(files["class_map.mp4"])) == 30

    def test_only_those_that_are_wanted(self, folder: Path, tmp_path: Path) -> None:
        words = ("--what", "offsets,scores", "--blocks", "layer3.0", "--class", "left", "--palette", "--out", tmp_path)
        assert explain(folder / "msn.pth.tar", folder / "clip.mp4", *words) == 0
        found = {path.name for path in (tmp_path / "clip").iterdir()}
        assert found == {"offsets_layer3.0.png", "scores.png", "scores.csv"}
        assert Image.open(tmp_path / "clip" / "scores.png").mode == "P"

    def test_videos_of_one_name_do_not_overwrite_each_other(self) -> None:
        sources = [Source(name) for name in ("a/x.mp4", "b/x.avi", "x_2.mp4", "c/x.mp4")]
        found = folders(Path("out"), sources)
        assert len(set(found)) == 4 and found[:2] == [Path("out/x"), Path("out/x_2")]


class TestBadInput:
    def test_of_several_videos_the_good_ones_are_explained(self, folder: Path, tmp_path: Path) -> None:
        """The command as users run it."""
        broken = write_broken(tmp_path / "broken.mp4")
        sound = media.make_sound(tmp_path / "sound.m4a")
        (tmp_path / "empty").mkdir()
        bad = [str(path) for path in (broken, sound, tmp_path / "empty", tmp_path / "missing.mp4")]
        done = run_script(
            "scripts/explain.py", str(folder / "tsn.pth.tar"), *bad, "camera", str(folder / "clip.mp4"), "--what",
            "class_map", "--out", "out", cwd=tmp_path,
        )  # fmt: skip
        errors = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.startswith("error:")]
        assert done.returncode == 2 and len(errors) == 5 and "Traceback" not in done.stderr, done.stderr
        assert all(any(name in line for line in errors) for name in bad)
        assert any("camera: expected a video with an end, got a camera" in line for line in errors)
        assert [str(path.relative_to(tmp_path)) for path in (tmp_path / "out").rglob("*.*")] == [
            "out/clip/class_map.png"
        ]
        assert f"{folder / 'clip.mp4'}: " in done.stdout

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--what", "scores,gates"), r"--what of scores, class_map, video, which this tsn network has, got gates"),
            (("--what", "score"), "expected --what of scores, class_map, video, branches, gates, offsets, got score"),
            (("--class", "sideways"), "expected --class NAME or a number from 0 to 4"),
            (("--blocks", "layer2.0"), "expected --blocks of none: this network has no motion module"),
            (("--class_names", "missing.txt"), r"missing\.txt: expected a file of class names"),
        ],
    )
    def test_options_that_do_not_fit(self, folder: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
        with pytest.raises(InputError, match=message):
            explain(folder / "tsn.pth.tar", folder / "clip.mp4", "--out", tmp_path / "out", *words)

    def test_a_folder_that_cannot_be_written_to_is_said_at_once(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for out in (tmp_path / "file", tmp_path / "file" / "out"):
            with pytest.raises(InputError, match="expected a folder to write to"):
                explain(folder / "tsn.pth.tar", folder / "clip.mp4", "--out", out)

    def test_a_checkpoint_without_class_names(
        self, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = save(random_network("tsn"), tmp_path / "a.pth.tar", names=())
        assert explain(path, folder / "clip.mp4", "--what", "scores", "--class", "2", "--out", tmp_path / "out") == 0
        said = capsys.readouterr()
        assert "classes are numbered (--class_names FILE)" in said.out + said.err
        table = (tmp_path / "out" / "clip" / "scores.csv").read_text().splitlines()
        assert table[0] == "segment,first_frame,last_frame,0,1,2,3,4"

    def test_something_that_is_no_checkpoint(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="expected a checkpoint"):
            explain(write_broken(tmp_path / "a.pth"), folder / "clip.mp4", "--out", tmp_path / "out")


def test_commands_of_the_page() -> None:
    for words in commands_with(REPOSITORY / "docs/pictures.md", "scripts/explain.py"):
        assert isinstance(parse(explain_parser(), ExplainConfig, words[2:]), ExplainConfig)
