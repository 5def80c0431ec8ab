"""Data set descriptions: built-in entries, TOML files, the command line over both, errors, and mirror labels."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.data.dataset_config import (
    DatasetOptions,
    DatasetSpec,
    check_template,
    read_class_names,
    resolve_dataset,
    with_val_list,
)
from ops.runtime.errors import InputError
from tests.clip_files import make_spec
from tests.data.test_mirror_labels import SOMETHING

BUILT_IN = {
    "something": ("frames", 174),
    "somethingv2": ("frames", 174),
    "kinetics": ("videos", 400),
    "ucf101": ("videos", 101),
    "hmdb51": ("videos", 51),
    "jester": ("frames", 27),
}
COMPLETE = 'storage = "frames"\nnum_classes = 3\nroot = "pictures"\ntrain_list = "a.txt"\nval_list = "lists/b.txt"\n'


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, without any data/ in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def resolve(name: str = "mine", toml: str | bytes | None = None, **options: Any) -> DatasetSpec:
    """The data set of a name, a TOML file of this content, and command-line options."""
    if toml is not None:
        path = Path("described") / "set.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
        options["dataset_config"] = str(path)
    return resolve_dataset(DatasetOptions(name, **options))


def refusal(*args: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        resolve(*args, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestBuiltIn:
    @pytest.mark.parametrize("name", BUILT_IN)
    def test_storage_classes_and_root(self, name: str) -> None:
        spec = resolve(name)
        assert (spec.storage, spec.num_classes) == BUILT_IN[name]
        assert spec.name == name
        assert spec.root == Path("data") / name
        assert spec.root in spec.train_list.parents and spec.root in spec.val_list.parents
        assert spec.class_names == ()

    @pytest.mark.parametrize("name", ["ucf101", "hmdb51"])
    @pytest.mark.parametrize("storage", ["frames", "videos"])
    def test_splits(self, name: str, storage: str) -> None:
        lists = {resolve(name, storage=storage, split=split).train_list.name for split in (1, 2, 3)}
        assert lists == {f"train_{storage}_split{split}.txt" for split in (1, 2, 3)}
        assert resolve(name, storage=storage, split=2).val_list.name == f"val_{storage}_split2.txt"
        assert resolve(name, storage=storage).train_list == resolve(name, storage=storage, split=1).train_list

    @pytest.mark.parametrize("split", [0, 4, -1])
    def test_split_out_of_range(self, split: int) -> None:
        assert "1 to 3" in refusal("ucf101", split=split)

    @pytest.mark.parametrize("name", ["something", "kinetics", "jester", "motion"])
    def test_split_of_a_set_without_splits(self, name: str) -> None:
        assert "--split 1" in refusal(name, split=1)

    def test_split_of_a_set_that_is_not_built_in(self) -> None:
        assert refusal("mine", COMPLETE, split=1).startswith("data set mine: expected no --split")

    def test_motion_in_both_forms(self) -> None:
        assert resolve("motion").train_list == Path("data/motion/train_videos.txt")
        assert resolve("motion", storage="frames").val_list == Path("data/motion/val_frames.txt")

    def test_class_names_beside_the_lists(self) -> None:
        Path("data/motion").mkdir(parents=True)
        Path("data/motion/classes.txt").write_text("left\nright\n\nleft then right\n")
        spec = resolve("motion")
        assert spec.class_names == ("left", "right", "left then right")
        assert spec.num_classes == 3

    def test_unknown_name_says_what_is_missing(self) -> None:
        message = refusal("mine")
        for word in (
            "'mine'",
            "something",
            "--dataset_config",
            "--storage",
            "--num_class",
            "--root_path",
            "--val_list",
        ):
            assert word in message
        assert "--root_path" not in refusal("mine", root_path="there")


class TestToml:
    def test_paths_are_relative_to_the_file(self) -> None:
        spec = resolve(toml=COMPLETE)
        folder = Path("described")
        assert (spec.root, spec.train_list, spec.val_list) == (
            folder / "pictures", folder / "a.txt", folder / "lists/b.txt",
        )  # fmt: skip
        assert (spec.name, spec.storage, spec.num_classes) == ("mine", "frames", 3)

    def test_absolute_paths_stay(self, tmp_path: Path) -> None:
        spec = resolve(toml=COMPLETE.replace("pictures", str(tmp_path / "p")).replace("a.txt", str(tmp_path / "a.txt")))
        assert (spec.root, spec.train_list) == (tmp_path / "p", tmp_path / "a.txt")

    def test_everything_else(self) -> None:
        spec = resolve(
            toml=COMPLETE
            + 'name = "mine"\nclass_names = ["x", "y", "z"]\nimage_tmpl = "{:d}.png"\nmirror_pairs = [[0, 2]]\n'
        )
        assert spec.class_names == ("x", "y", "z")
        assert spec.image_tmpl == "{:d}.png"
        assert spec.mirror_pairs == ((0, 2),)

    def test_class_names_file_relative_to_the_toml_file(self) -> None:
        Path("described").mkdir()
        Path("described/names.txt").write_text("x\ny\nz\n")
        without_count = COMPLETE.replace("num_classes = 3\n", "")
        assert resolve(toml=without_count + 'class_names = "names.txt"').class_names == ("x", "y", "z")
        assert resolve(toml=without_count + 'class_names = "names.txt"').num_classes == 3

    def test_over_a_built_in_set(self) -> None:
        spec = resolve("kinetics", 'root = "k"\nnum_classes = 5\n')
        assert (spec.root, spec.num_classes, spec.storage) == (Path("described/k"), 5, "videos")
        assert spec.val_list == Path("described/k/val.txt")

    def test_the_name_on_the_command_line_is_that_of_the_run(self) -> None:
        """What the file describes is the same, whatever the run is called."""
        assert resolve("v2", COMPLETE + 'name = "videos"') == replace(resolve("videos", COMPLETE), name="v2")
        assert resolve("small", 'name = "kinetics"\nroot = "k"') == replace(
            resolve("kinetics", 'root = "k"'), name="small"
        )
        assert "'v2'" in refusal("v2", 'name = "videos"')  # the name alone describes nothing

    def test_storage_over_a_built_in_set_chooses_its_lists(self) -> None:
        spec = resolve("ucf101", 'storage = "frames"')
        assert spec.storage == "frames"
        assert spec.train_list.name == "train_frames_split1.txt"
        assert spec.val_list.name == "val_frames_split1.txt"

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("nonsense = 1", ("nonsense", "num_classes")),
            ('num_classes = "3"', ("num_classes", "int", "'3'")),
            ("num_classes = true", ("num_classes", "int")),
            ("num_classes = 3.0", ("num_classes", "int")),
            ("root = 3", ("root", "str")),
            ("storage = []", ("storage", "str")),
            ("class_names = 7", ("class_names", "str or list")),
            ("class_names = [1, 2]", ("class_names",)),
            ("mirror_pairs = [[0]]", ("mirror_pairs",)),
            ("mirror_pairs = [[0, true]]", ("mirror_pairs",)),
            ("mirror_pairs = [1, 2]", ("mirror_pairs",)),
            ("root = ", ("TOML",)),
        ],
    )
    def test_wrong_content_names_the_file(self, line: str, words: tuple[str, ...]) -> None:
        message = refusal(toml=line)
        for word in ("described/set.toml", *words):
            assert word in message

    def test_missing_folder_or_not_utf8(self) -> None:
        assert "nowhere.toml" in refusal(dataset_config="nowhere.toml")
        assert "set.toml" in refusal(toml=b'name = "\xff\xfe"')
        Path("folder.toml").mkdir()
        assert "folder.toml" in refusal(dataset_config="folder.toml")


class TestCommandLine:
    def test_overrides_built_in(self) -> None:
        Path("names.txt").write_text("x\ny\n")
        spec = resolve(
            "kinetics", root_path="videos", train_list="t.txt", val_list="v.txt", class_names="names.txt", num_class=2,
            image_tmpl="{:03d}.png", storage="frames",
        )  # fmt: skip
        assert spec == DatasetSpec(
            "kinetics", "frames", 2, Path("videos"), Path("t.txt"), Path("v.txt"), ("x", "y"), "{:03d}.png"
        )

    def test_overrides_toml(self) -> None:
        spec = resolve(toml=COMPLETE, num_class=9, val_list="v.txt", storage="videos")
        assert (spec.num_classes, spec.val_list, spec.storage) == (9, Path("v.txt"), "videos")
        assert spec.train_list == Path("described/a.txt")

    def test_toml_overrides_built_in_and_is_overridden(self) -> None:
        spec = resolve("jester", 'num_classes = 4\nimage_tmpl = "{:d}.jpg"', num_class=6)
        assert (spec.num_classes, spec.image_tmpl, spec.storage) == (6, "{:d}.jpg", "frames")

    def test_root_moves_the_built_in_lists(self) -> None:
        assert resolve("kinetics", root_path="elsewhere").train_list == Path("elsewhere/train.txt")

    def test_a_set_of_ones_own_without_toml(self) -> None:
        spec = resolve(root_path="r", train_list="t.txt", val_list="v.txt", num_class=2, storage="videos")
        assert (spec.name, spec.root, spec.image_tmpl) == ("mine", Path("r"), "{:05d}.jpg")

    def test_number_of_classes_from_class_names(self) -> None:
        Path("names.txt").write_text("x\ny\nz\n")
        options = {"root_path": "r", "train_list": "t", "val_list": "v", "storage": "videos"}
        assert resolve(class_names="names.txt", **options).num_classes == 3
        assert "expected 2 class names, got 3" in refusal(class_names="names.txt", num_class=2, **options)

    def test_with_val_list(self) -> None:
        spec = resolve("kinetics")
        assert with_val_list(spec, None) is spec
        assert with_val_list(spec, "test.txt").val_list == Path("test.txt")


class TestSpec:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"storage": "tapes"}, ("frames or videos", "'tapes'")),
            ({"num_classes": 0}, ("1 to 1000000 classes", "0")),
            ({"num_classes": -3}, ("1 to 1000000 classes", "-3")),
            ({"class_names": ("x", "y")}, ("4 class names", "2")),
            ({"mirror_pairs": ((0, 4),)}, ("mirror_pairs", "0..3", "[0, 4]")),
            ({"mirror_pairs": ((0, -1),)}, ("mirror_pairs", "[0, -1]")),
            ({"image_tmpl": "img.jpg"}, ("{:05d}.jpg", "'img.jpg'")),
        ],
    )
    def test_refuses(self, tmp_path: Path, changes: dict[str, Any], words: tuple[str, ...]) -> None:
        with pytest.raises(InputError) as caught:
            make_spec(tmp_path, **changes)
        for word in words:
            assert word in str(caught.value)

    @pytest.mark.parametrize("template", ["{:05d}.jpg", "{}.png", "img_{:d}.jpeg", "{0:06d}/x.jpg"])
    def test_good_templates(self, template: str) -> None:
        check_template(template)

    @pytest.mark.parametrize("template", ["", "x.jpg", "{:05d", "{}{}", "{:05s}", "{name}", "{!z}", "{:z}"])
    def test_bad_templates(self, template: str) -> None:
        with pytest.raises(InputError, match="image template"):
            check_template(template)

    @pytest.mark.parametrize("template", ["{.x}.jpg", "{[0]}.jpg"])
    def test_templates_that_reach_into_the_number(self, template: str) -> None:
        with pytest.raises(InputError, match="image template"):
            check_template(template)


class TestClassNames:
    def test_reads_a_name_a_line(self) -> None:
        Path("names.txt").write_text("  one \n\ntwo words\nüber\n", encoding="utf-8")
        assert read_class_names(Path("names.txt")) == ("one", "two words", "über")
        assert read_class_names(["a", "b"]) == ("a", "b")

    @pytest.mark.parametrize("content", [None, b"", b"\n \n", b"caf\xe9\n"])
    def test_bad_files(self, content: bytes | None) -> None:
        if content is not None:
            Path("names.txt").write_bytes(content)
        with pytest.raises(InputError, match=r"names\.txt"):
            read_class_names(Path("names.txt"))


class TestMirrorLabels:
    @pytest.mark.parametrize("name", ["something", "somethingv2"])
    def test_something_without_names(self, name: str) -> None:
        expected = list(range(174))
        for a, b in ((86, 87), (93, 94), (166, 167)):
            expected[a], expected[b] = b, a
        assert list(resolve(name).mirror_labels()) == expected

    def test_pairs_come_before_names(self, tmp_path: Path) -> None:
        spec = make_spec(tmp_path, class_names=("left", "right", "up", "down"), mirror_pairs=((2, 3),))
        assert spec.mirror_labels() == (1, 0, 3, 2)
        spec = make_spec(tmp_path, class_names=("left", "right", "up", "down"), mirror_pairs=((0, 0), (1, 1)))
        assert spec.mirror_labels() == (0, 1, 2, 3)
        assert make_spec(tmp_path, mirror_pairs=((2, 3),)).mirror_labels() == (0, 1, 3, 2)

    def test_pairs_of_a_toml_file_beside_class_names(self) -> None:
        Path("described").mkdir()
        Path("described/names.txt").write_text("a\nb\nc\n")
        spec = resolve(toml=COMPLETE + 'class_names = "names.txt"\nmirror_pairs = [[0, 2]]\n')
        assert spec.mirror_labels() == (2, 1, 0)

    @pytest.mark.parametrize("name", ["kinetics", "ucf101", "hmdb51", "jester"])
    def test_nothing_to_swap_without_names_and_pairs(self, name: str) -> None:
        spec = resolve(name)
        assert spec.mirror_labels() == tuple(range(spec.num_classes))

    def test_a_part_of_something_with_its_own_names(self) -> None:
        """The built-in pairs are those of 174 classes; a list of fewer classes and its names replaces them."""
        Path("names.txt").write_text("\n".join(SOMETHING))
        spec = resolve("something", class_names="names.txt")
        assert spec.num_classes == len(SOMETHING)
        assert spec.mirror_labels() == (1, 0, 3, 2, 4, 5)

    def test_the_number_of_classes_said_again(self) -> None:
        assert resolve("something", num_class=174) == resolve("something")

    def test_a_part_of_something_without_names(self) -> None:
        assert resolve("something", num_class=10).mirror_labels() == tuple(range(10))
