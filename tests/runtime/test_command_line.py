"""Command lines, right and wrong."""

import pytest

from ops.runtime.command_line import OneLineParser, plural
from ops.runtime.errors import InputError


def parser() -> OneLineParser:
    made = OneLineParser(prog="script.py")
    made.add_argument("--batch-size", type=int)
    made.add_argument("--num_clips", type=int, nargs="+")
    made.add_argument("--storage", choices=("frames", "videos"))
    made.add_argument("--consensus_type")
    made.add_argument("--preset", choices={"training": 16})  # a dict, as subcommands are
    command = made.add_subparsers(dest="command").add_parser("folders")
    command.add_argument("--val_fraction", type=float)
    return made


class TestOneLineParser:
    @pytest.mark.parametrize("option", ["--batch-size", "--batch_size"])
    @pytest.mark.parametrize("joined", [True, False])
    def test_both_spellings(self, option: str, joined: bool) -> None:
        words = [f"{option}=3"] if joined else [option, "3"]
        assert parser().parse_args([*words, "--num-clips", "1", "2"]).batch_size == 3

    def test_both_spellings_of_a_subcommand(self) -> None:
        assert parser().parse_args(["folders", "--val-fraction", "0.5"]).val_fraction == 0.5

    def test_values_stay_as_they_are(self) -> None:
        made = OneLineParser()
        made.add_argument("--out_dir")
        assert made.parse_args(["--out-dir=a_b-c=d"]).out_dir == "a_b-c=d"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["folder"], "invalid choice: 'folder' .*; did you mean 'folders'?"),
            (["--storage", "video"], "invalid choice: 'video' .*; did you mean 'videos'?"),
            (["--batchsize=3"], "unrecognized arguments: --batchsize=3; did you mean '--batch-size'?"),
            (["folders", "--valfraction=1"], "unrecognized arguments: .*; did you mean '--val_fraction'?"),
            (["--batch=3"], "unrecognized arguments: --batch=3; did you mean '--batch-size'?"),
            (["--consensus_tpye=avg"], "unrecognized arguments: .*; did you mean '--consensus_type'?"),
            (["--nonsense"], r"unrecognized arguments: --nonsense \(see script.py --help\)$"),
            (["--zzz"], r"unrecognized arguments: --zzz \(see script.py --help\)$"),
        ],
    )
    def test_suggests(self, words: list[str], said: str) -> None:
        with pytest.raises(InputError, match=said) as error:
            parser().parse_args(words)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [(1, "video", "1 video"), (0, "video", "0 videos"), (2000, "video", "2,000 videos"), (3, "class", "3 classes")],
)
def test_plural(count: int, noun: str, text: str) -> None:
    assert plural(count, noun) == text
