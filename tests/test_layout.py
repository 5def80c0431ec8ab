"""The house's rules that a machine can check: floors of imports, single owners of side effects, what is in the tree."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# A module of ops/ imports only from lower floors.
FLOORS = {
    1: ("deform_conv", "errors", "logger", "losses", "lr_scheduler", "measurement", "metrics", "mirror_labels", "optim",
        "precision", "progress", "sampling", "score_pickle", "video_errors"),
    2: ("atomic_file", "clip_watch", "dataset_config", "distributed", "folder_lock", "motion", "pyav_reader",
        "reference_checkpoint", "scalars", "transforms"),
    3: ("checkpoint", "config", "interruption", "nonfinite", "score_journal", "scores", "video_list", "video_reader"),
    4: ("dataset", "msn_net", "options", "results", "run_folder"),
    5: ("bad_videos", "loaders", "models", "score_output"),
    6: ("fusion", "validation"),
    7: ("run_state", "testing"),
    8: ("training",),
}  # fmt: skip
FLOOR_OF = {module: floor for floor, modules in FLOORS.items() for module in modules}
MODULES = sorted((REPOSITORY / "ops").glob("*.py"))
SCRIPT_NAMES = ("main", "test_models_center_crop", "test_models_three_crops", "pkl_to_results")
SCRIPTS = [REPOSITORY / f"{name}.py" for name in SCRIPT_NAMES]
MAX_BYTES = 1_000_000


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> set[str]:
    """Dotted names of all that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_modules_of_ops(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("ops.")}


class TestFloors:
    def test_every_module_has_one(self) -> None:
        assert {path.stem for path in MODULES} - {"__init__"} == set(FLOOR_OF)

    @pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
    def test_imports_only_from_lower_floors(self, path: Path) -> None:
        if path.stem == "__init__":
            assert imports(path) == set()
            return
        for name in imported_modules_of_ops(path):
            assert FLOOR_OF[name] < FLOOR_OF[path.stem], f"{path.stem} imports {name}"

    @pytest.mark.parametrize("floor", FLOORS)
    def test_no_module_is_higher_than_it_needs_to_be(self, floor: int) -> None:
        for name in FLOORS[floor]:
            below = [FLOOR_OF[m] for m in imported_modules_of_ops(REPOSITORY / "ops" / f"{name}.py")]
            assert FLOOR_OF[name] == max(below, default=0) + 1, name

    def test_ops_imports_nothing_above_it(self) -> None:
        outside = {"scripts", "tests", *SCRIPT_NAMES}
        for path in MODULES:
            assert not {name.split(".")[0] for name in imports(path)} & outside


def dotted_names(path: Path) -> set[str]:
    """Every attribute access and import of a file, as dotted text."""
    nodes = ast.walk(parse(path))
    return imports(path) | {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}


class TestOwners:
    def test_only_distributed_calls_torch_distributed(self) -> None:
        users = [p.name for p in [*MODULES, *SCRIPTS] if any("torch.distributed" in n for n in dotted_names(p))]
        assert users == ["distributed.py"]

    def test_only_logger_adds_handlers(self) -> None:
        words = ("addHandler", "basicConfig", "StreamHandler", "FileHandler")
        users = [p.name for p in [*MODULES, *SCRIPTS] if any(n.endswith(words) for n in dotted_names(p))]
        assert users == ["logger.py"]

    def test_no_star_imports_exec_or_eval(self) -> None:
        for path in [*MODULES, *SCRIPTS]:
            assert not any(name.endswith(".*") for name in imports(path)), path.name
            calls = (n.func for n in ast.walk(parse(path)) if isinstance(n, ast.Call))
            assert not {f.id for f in calls if isinstance(f, ast.Name)} & {"exec", "eval"}, path.name

    def test_nothing_below_the_top_receives_args(self) -> None:
        for path in MODULES:
            for node in ast.walk(parse(path)):
                if isinstance(node, ast.FunctionDef) and path.stem != "options":
                    assert "args" not in [a.arg for a in node.args.args], f"{path.name}: {node.name}"

    def test_segments_have_no_default_below_the_command_line(self) -> None:
        for path in MODULES:
            for node in ast.walk(parse(path)):
                if isinstance(node, ast.FunctionDef):
                    arguments = node.args.posonlyargs + node.args.args
                    with_default = arguments[len(arguments) - len(node.args.defaults) :]
                    keyword = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                    with_default += [a for a, default in keyword if default is not None]
                    assert "num_segments" not in [a.arg for a in with_default], f"{path.name}: {node.name}"


class TestScripts:
    @pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
    def test_is_a_table_of_contents(self, path: Path) -> None:
        """Docstring, imports, at most one constant made of literals, main, and its call when run as a script."""
        docstring, *rest = parse(path).body
        assert isinstance(docstring, ast.Expr)
        *middle, last = rest
        assert ast.unparse(last) == "if __name__ == '__main__':\n    run_script(main)"
        kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.Assign)
        assert all(isinstance(node, kinds) for node in middle)
        assert len(path.read_text(encoding="utf-8").splitlines()) < 40

    def test_do_nothing_at_import(self, tmp_path: Path) -> None:
        code = (
            "import sys, logging; sys.path.insert(0, sys.argv[1])\n"
            f"import {', '.join(SCRIPT_NAMES)}\n"
            "import torch\n"
            "assert not torch.distributed.is_initialized() and not torch.cuda.is_initialized()\n"
            "assert not logging.getLogger().handlers and not logging.getLogger('msn').handlers\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(REPOSITORY)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert list(tmp_path.iterdir()) == []


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := REPOSITORY / name).is_file()]


class TestTree:
    def test_no_file_is_large(self) -> None:
        assert [p.name for p in tracked_files() if p.stat().st_size > MAX_BYTES] == []

    def test_no_paths_of_the_machine_it_was_written_on(self) -> None:
        somewhere = re.compile(r"(?<![\w.~<>{}$-])/(?:work|root)(?![\w-])")
        found = []
        for path in tracked_files():
            try:
                lines = path.read_text(encoding="utf-8").splitlines()
            except UnicodeDecodeError:
                continue  # not text
            found += [f"{path.name}:{n}: {line.strip()}" for n, line in enumerate(lines, 1) if somewhere.search(line)]
        assert found == []
