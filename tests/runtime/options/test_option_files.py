"""Files of options, and what a parser makes of options that it does not know by that name."""

from pathlib import Path

import pytest

from ops.runtime.errors import InputError
from ops.runtime.options.option_files import OptionFile, SettingsParser, split_line


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parser() -> SettingsParser:
    made = SettingsParser({"--old": "use --new", "--k": "remove it", "RGB": "no modality", ".txt": "use --name"},
                          prog="script.py")  # fmt: skip
    made.aliases["--archs"] = "--arch"
    made.aliases["-ef"] = "--eval-freq"
    made.add_argument("data", nargs="?")
    made.add_argument("--arch")
    made.add_argument("--eval-freq", type=int)
    made.add_argument("--evaluate", action="store_true")
    made.add_argument("--keep", type=int)
    made.add_argument("--name")
    made.add_argument("--steps", type=float, nargs="+")
    made.add_argument("--clip_timeout", type=float)
    made.add_argument("--clip-gradient", type=float)
    return made


def refusal(*words: str) -> str:
    with pytest.raises(InputError) as caught:
        parser().parse_args(words)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestLines:
    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("--lr 0.1", ["--lr", "0.1"]),
            ("  --lr_steps 30 45   # epochs, as the paper's", ["--lr_steps", "30", "45"]),
            ("# a comment that isn't closed", []),
            ("", []),
            ("--root 'my data' --name \"it's\"", ["--root", "my data", "--name", "it's"]),
            ("--root=my' 'data#1", ["--root=my data#1"]),
            ("--name '#1' # one", ["--name", "#1"]),
            ("--name ''", ["--name", ""]),
            (r"--image_tmpl {:05d}\x.jpg", ["--image_tmpl", r"{:05d}\x.jpg"]),
        ],
    )
    def test_words(self, line: str, words: list[str]) -> None:
        assert split_line(line) == words

    @pytest.mark.parametrize("line", ["--name 'open", "--name it's", '"'])
    def test_open_quote(self, line: str) -> None:
        with pytest.raises(ValueError, match="quote"):
            split_line(line)


class TestFiles:
    def test_later_options_override(self) -> None:
        Path("a.args").write_text("# first\nthing\n\n--arch x  # one\n--steps 1 2\n--keep 3\n")
        made = parser()
        found = made.parse_args(["--keep", "1", "@a.args", "--arch", "y"])
        assert (found.data, found.arch, found.steps, found.keep) == ("thing", "y", [1, 2], 3)
        assert made.files == [OptionFile("a.args", ("thing", "--arch x", "--steps 1 2", "--keep 3"))]

    def test_nested_files_are_relative_to_theirs(self) -> None:
        Path("inner/common").mkdir(parents=True)
        Path("inner/a.args").write_text("@common/b.args\n--keep 2\n")
        Path("inner/common/b.args").write_text("--keep 1\n--name b\n@../c.args\n")
        Path("inner/c.args").write_text("--arch c\n")
        made = parser()
        found = made.parse_args(["@inner/a.args"])
        assert (found.keep, found.name, found.arch) == (2, "b", "c")
        assert [file.path for file in made.files] == [
            "inner/a.args", "inner/common/b.args", "inner/common/../c.args",
        ]  # fmt: skip

    def test_every_parse_starts_anew(self) -> None:
        Path("a.args").write_text("--keep 3\n")
        made = parser()
        made.parse_args(["@a.args"])
        assert made.parse_args([]).keep is None and made.files == []

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("--keep 1\n--name 'open\n", ("a.args, line 2", "quote")),
            ("\n--nme x\n", ("a.args, line 2", "--nme", "'--name'")),
            ("@nowhere.args\n", ("a.args, line 1", "nowhere.args", "No such file")),
            ("@a.args\n", ("a.args, line 1", "includes itself")),
            ("--keep x\n", ("--keep", "'x'")),
        ],
    )
    def test_wrong_content(self, content: str, words: tuple[str, ...]) -> None:
        Path("a.args").write_text(content)
        message = refusal("@a.args")
        assert all(word in message for word in words), message

    def test_unreadable(self) -> None:
        Path("a.args").write_bytes(b"--name \xff\n")
        assert "UTF-8" in refusal("@a.args")
        assert "No such file" in refusal("@b.args")
        assert "Is a directory" in refusal("@.")
        assert "null byte" in refusal("@\0")

    def test_after_two_dashes_nothing_is_an_option(self) -> None:
        Path("@a").write_text("")
        assert parser().parse_args(["--", "@a"]).data == "@a"


class TestNames:
    @pytest.mark.parametrize("option", ["--eval-freq", "--eval_freq", "--eval-f", "--eval_f", "-ef"])
    def test_spellings(self, option: str) -> None:
        assert parser().parse_args([option, "4"]).eval_freq == 4

    def test_further_name(self) -> None:
        assert parser().parse_args(["--archs=x"]).arch == "x"

    def test_what_is_clear_as_it_is_spelled(self) -> None:
        """Cut short at ``_`` or ``-``, which tell the two options apart."""
        assert parser().parse_args(["--clip_", "1", "--clip-", "2"]) == parser().parse_args(
            ["--clip_timeout", "1", "--clip-gradient", "2"]
        )

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--eval", "4"], "ambiguous option: --eval could match --eval-freq, --evaluate"),
            (["--old", "4"], "there is no option --old here; use --new"),
            (["--k", "4"], "there is no option --k here; remove it"),
            (["--kep=4"], "unrecognized arguments: --kep; did you mean '--keep'?"),
            (["a", "RGB"], "unrecognized arguments: RGB; no modality"),
            (["a", "train.txt"], "unrecognized arguments: train.txt; use --name"),
        ],
    )
    def test_refused(self, words: list[str], said: str) -> None:
        message = refusal(*words)
        assert said in message and message.endswith("(see script.py --help)")

    def test_values_stay(self) -> None:
        assert parser().parse_args(["--name", "-- a_b-c"]).name == "-- a_b-c"
        assert parser().parse_args(["--name=--old"]).name == "--old"
