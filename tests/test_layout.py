"""The house's rules that a machine can check: floors of imports, single owners of side effects, what is in the tree."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# A wing imports only from the wings above it in this list.
WINGS = (
    "runtime", "video", "data", "checkpoints", "models", "settings", "evaluation", "training", "inference", "export",
    "preparation", "motion_set", "visual", "benchmark",
)  # fmt: skip
MODULES = sorted((REPOSITORY / "ops").glob("*/**/*.py"))
MAX_FILES = 14  # in a folder
SCRIPT_NAMES = ("main", "test_models_center_crop", "test_models_three_crops", "pkl_to_results")
SCRIPTS = [REPOSITORY / f"{name}.py" for name in SCRIPT_NAMES]
COMMANDS = [*SCRIPTS, *sorted((REPOSITORY / "scripts").rglob("*.py"))]
MAX_BYTES = 1_000_000


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@functools.cache
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


def wing_of(path: Path) -> str:
    return path.relative_to(REPOSITORY / "ops").parts[0]


@functools.cache
def exports(wing: str) -> dict[str, str]:
    """Names that a wing gives to others, and the module of each (``.`` for a module itself)."""
    stub = REPOSITORY / "ops" / wing / "__init__.pyi"
    if not stub.exists():
        return {}
    nodes = [node for node in parse(stub).body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or "." for node in nodes for alias in node.names}


def used_of_wings(path: Path) -> set[tuple[str, str]]:
    """(wing, name) of what a file imports from a wing as a whole."""
    found = [name.split(".") for name in imports(path) if name.startswith("ops.")]
    return {(parts[1], parts[2]) for parts in found if len(parts) == 3}


class TestWings:
    def test_every_module_is_in_one(self) -> None:
        assert {wing_of(path) for path in MODULES} <= set(WINGS)
        assert [path.name for path in (REPOSITORY / "ops").glob("*.py")] == ["__init__.py"]

    @pytest.mark.parametrize("path", MODULES, ids=lambda path: ".".join(path.relative_to(REPOSITORY).parts))
    def test_imports_only_from_wings_above(self, path: Path) -> None:
        own = WINGS.index(wing_of(path))
        for name in imports(path):
            if name.startswith("ops."):
                assert WINGS.index(name.split(".")[1]) <= own, f"{path.relative_to(REPOSITORY)} imports {name}"

    @pytest.mark.parametrize(
        "path", [*MODULES, *COMMANDS], ids=lambda path: ".".join(path.relative_to(REPOSITORY).parts)
    )
    def test_from_other_wings_it_takes_what_they_export(self, path: Path) -> None:
        own = wing_of(path) if path in MODULES else None
        for name in imports(path):
            if name.startswith("ops.") and name.split(".")[1] != own:
                _, wing, *rest = name.split(".")
                assert rest and rest[0] in exports(wing), f"{name} is not in ops/{wing}/__init__.pyi"

    @pytest.mark.parametrize("wing", WINGS)
    def test_exports_what_others_use_and_nothing_else(self, wing: str) -> None:
        others = [path for path in MODULES if wing_of(path) != wing]
        used = {name for path in [*others, *COMMANDS] for of, name in used_of_wings(path) if of == wing}
        documents = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]
        text = "".join(path.read_text(encoding="utf-8") for path in documents)
        shown = {n for line in re.findall(rf"from ops\.{wing} import (.+)", text) for n in re.findall(r"\w+", line)}
        assert set(exports(wing)) == used | shown

    def test_ops_imports_nothing_above_it(self) -> None:
        outside = {"scripts", "tests", *SCRIPT_NAMES}
        for path in MODULES:
            assert not {name.split(".")[0] for name in imports(path)} & outside, path

    def test_no_folder_is_a_corridor(self) -> None:
        folders = [
            path for top in ("ops", "scripts", "tests") for path in (REPOSITORY / top).rglob("*") if path.is_dir()
        ]
        for folder in [*folders, REPOSITORY / "scripts", REPOSITORY / "tests", REPOSITORY / "ops"]:
            files = [path.name for path in folder.iterdir() if path.is_file() and path.suffix in (".py", ".sh")]
            assert len(files) <= MAX_FILES, f"{folder.relative_to(REPOSITORY)} has {len(files)}"

    @pytest.mark.parametrize(
        "module", ["ops.settings", "ops.settings.command_lines", "ops.models.names", "pkl_to_results"]
    )
    def test_imports_no_torch(self, module: str) -> None:
        code = f"import sys; sys.path.insert(0, sys.argv[1]); import {module}; assert 'torch' not in sys.modules"
        subprocess.run([sys.executable, "-c", code, str(REPOSITORY)], check=True)


def dotted_names(path: Path) -> set[str]:
    """Every attribute access and import of a file, as dotted text."""
    nodes = ast.walk(parse(path))
    return imports(path) | {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}


class TestOwners:
    def test_who_calls_torch_distributed(self) -> None:
        """Who the processes are, what they give each other, where they meet, and the file that starts torchrun."""
        users = [p.name for p in [*MODULES, *SCRIPTS] if any("torch.distributed" in n for n in dotted_names(p))]
        assert users == ["distributed.py", "exchange.py", "store.py", "torchrun.py"]

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

    @pytest.mark.parametrize("path", COMMANDS[len(SCRIPTS) :], ids=lambda path: path.stem)
    def test_parses_calls_and_exits(self, path: Path) -> None:
        """In scripts/: a function that makes the parser, or the wing's, main, and nothing else."""
        tree = parse(path)
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert functions <= {"parser", "main"} and "main" in functions
        assert ast.unparse(tree.body[-1]) == "if __name__ == '__main__':\n    run_script(main)"
        assert len(path.read_text(encoding="utf-8").splitlines()) < 60

    def test_shell_scripts_are_short(self) -> None:
        for path in (REPOSITORY / "scripts").rglob("*.sh"):
            assert len(path.read_text(encoding="utf-8").splitlines()) < 60, path.name

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
