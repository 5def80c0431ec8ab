"""Data sets: the built-in ones, TOML files and command-line overrides, and mirror labels.

A data set is described by a DatasetSpec. Precedence: command line, then the TOML file, then the built-in entry of
that name. Built-in data lie under ``data/<name>``:

    data/<name>/train.txt, val.txt        lists (train_frames.txt, train_videos_split1.txt, ... where there are several)
    data/<name>/classes.txt               class names, one a line, in label order
"""

import itertools
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ops.data.dataset_options import BUILT_IN, DEFAULT_TEMPLATE, STORAGES, DatasetOptions
from ops.data.mirror_labels import NO_MIRROR, check_forms, mirror_labels_of_names
from ops.runtime import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_CLASSES = 10**6
LINES_AT_ONCE = 2**18  # bytes of a list that are read at once


@dataclass(frozen=True)
class DatasetSpec:
    """Everything that is to be known of a data set.

    Args:
        name: shown in logs and results.
        storage: ``frames`` (folders of images) or ``videos`` (files).
        num_classes: K; labels are 0..K-1.
        root: relative paths in the lists are joined to it.
        train_list, val_list: list files.
        class_names: K names in label order, or empty.
        image_tmpl: ``str.format`` template of an image's name, given its number.
        mirror_pairs: labels that a horizontal flip exchanges, whatever the class names say.
    """

    name: str
    storage: str
    num_classes: int
    root: Path
    train_list: Path
    val_list: Path
    class_names: tuple[str, ...] = ()
    image_tmpl: str = DEFAULT_TEMPLATE
    mirror_pairs: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.storage not in STORAGES:
            raise InputError(f"data set {self.name}: expected storage frames or videos, got {self.storage!r}")
        if not 1 <= self.num_classes <= MAX_CLASSES:
            raise InputError(f"data set {self.name}: expected 1 to {MAX_CLASSES} classes, got {self.num_classes}")
        if self.class_names and len(self.class_names) != self.num_classes:
            raise InputError(
                f"data set {self.name}: expected {self.num_classes} class names, got {len(self.class_names)}"
            )
        for pair in self.mirror_pairs:
            if len(pair) != 2 or not all(0 <= label < self.num_classes for label in pair):
                raise InputError(
                    f"data set {self.name}: expected mirror_pairs of two labels in 0..{self.num_classes - 1}, "
                    f"got {list(pair)}"
                )
        check_template(self.image_tmpl)

    def mirror_labels(self, flips: bool = True) -> tuple[int, ...]:
        """For each label the label after a horizontal flip; NO_MIRROR where flipping would leave no true label.

        Nothing has one where clips are not flipped.
        """
        if not flips:
            return (NO_MIRROR,) * self.num_classes
        mirror = list(mirror_labels_of_names(self.class_names) if self.class_names else range(self.num_classes))
        for a, b in self.mirror_pairs:
            mirror[a], mirror[b] = b, a
        return tuple(mirror)

    def check_mirror_labels(self) -> None:
        """Raise InputError where the class names leave it open what a label becomes in a mirror."""
        check_forms(self.class_names, {label for pair in self.mirror_pairs for label in pair})


def check_template(template: str) -> None:
    """Raise unless ``template`` gives different names to different image numbers."""
    try:
        if re.search(r"\{[^}]*\d{3}", template):
            raise ValueError("a number of hundreds of digits")
        names = template.format(1), template.format(2)
    except (ValueError, IndexError, KeyError, AttributeError, TypeError, MemoryError) as error:
        raise InputError(f"expected an image template like {DEFAULT_TEMPLATE}, got {template!r} ({error})") from None
    if names[0] == names[1]:
        raise InputError(f"expected an image template like {DEFAULT_TEMPLATE}, got {template!r} (no number in it)")


_TOML_KEYS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "root": str,
    "train_list": str,
    "val_list": str,
    "num_classes": int,
    "class_names": (str, list),
    "image_tmpl": str,
    "storage": str,
    "mirror_pairs": list,
}


def resolve_dataset(options: DatasetOptions, known: Mapping[str, Any] | None = None) -> DatasetSpec:
    """The data set that the options mean.

    Args:
        options: of the command line.
        known: fields from elsewhere, which the command line and the TOML file override.

    Raises:
        InputError: something is missing or contradicts itself.
    """
    explicit: dict[str, Any] = {}
    if options.dataset_config is not None:
        explicit |= _toml_fields(Path(options.dataset_config))
    described = explicit.pop("name", options.name)  # the name on the command line is that of the run
    explicit |= _command_line_fields(options)
    built_in = _built_in_fields(replace(options, name=described), explicit.get("storage"))
    found = built_in | dict(known or {}) | explicit | {"name": options.name}
    if "root" in found:
        root = Path(found["root"])
        for key in ("train_list", "val_list"):
            if isinstance(found.get(key), str):  # relative to the root; a Path is taken as it stands
                found[key] = root / found[key]
        found.setdefault("class_names", root / "classes.txt" if os.path.isfile(root / "classes.txt") else ())
    found["class_names"] = read_class_names(found.get("class_names", ()))
    if found["class_names"] or found.get("num_classes") != built_in.get("num_classes"):
        found["mirror_pairs"] = explicit.get("mirror_pairs", ())  # the built-in pairs are those of the built-in classes
    if found["class_names"] and "num_classes" not in explicit:
        found["num_classes"] = len(found["class_names"])
    missing = [f.name for f in fields(DatasetSpec) if f.name not in found and f.name in _REQUIRED]
    if missing:
        raise InputError(
            f"data set {options.name!r} is not built in ({', '.join(sorted(BUILT_IN))}): expected --dataset_config "
            f"FILE.toml or {', '.join(_REQUIRED[m] for m in missing)}"
        )
    return DatasetSpec(**found)


_REQUIRED = {
    "storage": "--storage",
    "num_classes": "--num_class (or class names)",
    "root": "--root_path",
    "train_list": "--train_list",
    "val_list": "--val_list",
}


def _built_in_fields(options: DatasetOptions, storage: str | None) -> dict[str, Any]:
    built_in = BUILT_IN.get(options.name)
    if built_in is None:
        if options.split is not None:
            raise InputError(f"data set {options.name}: expected no --split (it is not built in), got {options.split}")
        return {"name": options.name}
    storage = storage or built_in.storages[0]
    split = 1 if options.split is None else options.split
    if options.split is not None and not 1 <= split <= built_in.splits:
        expected = f"1 to {built_in.splits}" if built_in.splits else "no --split (it has only one)"
        raise InputError(f"data set {options.name}: expected {expected}, got --split {split}")
    return {
        "name": options.name,
        "storage": storage,
        "num_classes": built_in.num_classes,
        "root": Path("data") / options.name,
        "train_list": built_in.train_list.format(storage=storage, split=split),
        "val_list": built_in.val_list.format(storage=storage, split=split),
        "mirror_pairs": built_in.mirror_pairs,
    }


def _command_line_fields(options: DatasetOptions) -> dict[str, Any]:
    given = {
        "root": options.root_path and Path(options.root_path),
        "train_list": options.train_list and Path(options.train_list),
        "val_list": options.val_list and Path(options.val_list),
        "num_classes": options.num_class,
        "class_names": options.class_names and Path(options.class_names),
        "image_tmpl": options.image_tmpl,
        "storage": options.storage,
    }
    return {key: value for key, value in given.items() if value is not None}


def _load_toml(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise InputError(f"{path}: expected a readable TOML file, got {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected TOML, got {error}") from None


def configured_name(path: Path) -> str | None:
    """The name that a TOML file gives its data set, if it gives one."""
    name = _load_toml(path).get("name")
    return name if isinstance(name, str) else None


def _toml_fields(path: Path) -> dict[str, Any]:
    """Fields that a TOML file gives; its relative paths are relative to its folder."""
    table = dict(_load_toml(path))
    for key, value in table.items():
        if key not in _TOML_KEYS:
            raise InputError(f"{path}: expected keys {', '.join(_TOML_KEYS)}, got {key!r}")
        kind = _TOML_KEYS[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            wanted = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
            raise InputError(f"{path}: expected {key} to be {wanted}, got {value!r}")
    folder = path.parent
    for key in ("root", "train_list", "val_list"):
        if key in table:
            table[key] = folder / table[key]
    names = table.get("class_names")
    if isinstance(names, str):
        table["class_names"] = folder / names
    elif names is not None and not all(isinstance(n, str) for n in names):
        raise InputError(f"{path}: expected class_names to be a file or a list of strings, got {names!r}")
    if "mirror_pairs" in table:
        pairs = table["mirror_pairs"]
        if not all(isinstance(p, list) and len(p) == 2 and all(type(v) is int for v in p) for p in pairs):
            raise InputError(f"{path}: expected mirror_pairs like [[0, 1]], got {pairs!r}")
        table["mirror_pairs"] = tuple((a, b) for a, b in pairs)
    return table


def read_lines(path: Path, what: str) -> list[str]:
    """The lines of a text file, which an error calls ``what``, without a byte-order mark.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    return list(itertools.chain.from_iterable(parts_of_lines(path, what)))


def parts_of_lines(path: Path, what: str) -> Iterator[list[str]]:
    """The same, of files with millions of lines, which are never all in memory: many lines at a time."""
    try:
        with path.open("rb") as file:
            before, encoding = 0, "utf-8-sig"  # lines that have been read
            while content := file.read(LINES_AT_ONCE) + file.readline():
                try:
                    yield content.decode(encoding).splitlines()
                except UnicodeDecodeError as error:
                    line = before + content.count(b"\n", 0, error.start) + 1
                    got = f"the byte 0x{content[error.start]:02x}"
                    raise InputError(f"{path}, line {line}: expected {what} in UTF-8, got {got}") from None
                before, encoding = before + content.count(b"\n"), "utf-8"
    except (OSError, ValueError) as error:  # the second for a name with a null byte
        raise InputError(f"{path}: expected {what}, got {getattr(error, 'strerror', None) or error}") from None


def read_class_names(source: Path | Sequence[str]) -> tuple[str, ...]:
    """Names from a file with one a line, or as given."""
    if not isinstance(source, Path):
        return tuple(source)
    lines = read_lines(source, "a file of class names")
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise InputError(f"{source}: expected one class name per line, got an empty file")
    return names


def with_val_list(spec: DatasetSpec, path: str | None) -> DatasetSpec:
    """``spec`` with another list to test on, where one is given."""
    return spec if path is None else replace(spec, val_list=Path(path))
