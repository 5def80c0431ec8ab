"""Safetensors, folders of Hugging Face's form and its hub are read wherever checkpoints are."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ops.checkpoints.description import describe
from ops.checkpoints.file import read_checkpoint, read_hashed_checkpoint, write_checkpoint
from ops.checkpoints.filling import load_weights, tune_from
from ops.checkpoints.pretrained_folder import CONFIG, WEIGHTS, config_of
from ops.models.build import build_model
from ops.runtime.errors import InputError
from tests.commands import REPOSITORY

ABOUT = {"network": "tsn", "num_segments": 3, "class_names": ["a", "b"], "mirror_pairs": [[0, 1]], "mean": [0.5, 0.4]}


@pytest.fixture(scope="module")
def content() -> dict:
    torch.manual_seed(0)
    state = build_model("resnet10", 2, 3, model="tsn").state_dict()
    return {"state_dict": state, "about": ABOUT, "epoch": 7, "config": {"lr": 0.01}}


@pytest.fixture(scope="module")
def folder(content: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``owner/name``, as export.py writes it."""
    path = tmp_path_factory.mktemp("hub") / "owner" / "name"
    path.mkdir(parents=True)
    write_checkpoint(content, path / WEIGHTS)
    (path / CONFIG).write_text(json.dumps(config_of(content)))
    return path


def same(state: dict, other: dict) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[name], other[name]) for name in state)


class TestFiles:
    def test_hold_what_a_checkpoint_holds(self, content: dict, folder: Path) -> None:
        found = read_checkpoint(folder / WEIGHTS)
        assert same(found.pop("state_dict"), content["state_dict"])
        assert found == {key: value for key, value in content.items() if key != "state_dict"}
        assert same(load_file(folder / WEIGHTS), read_checkpoint(folder)["state_dict"])  # by its own library

    def test_of_other_code(self, content: dict, tmp_path: Path) -> None:
        """Weights alone, with a metadata entry that is no JSON."""
        wrapped = {f"module.{name}": weight for name, weight in content["state_dict"].items()}
        save_file(wrapped, tmp_path / "a.safetensors", {"format": "pt", "author": "me"})
        network = build_model("resnet10", 2, 3, model="tsn")
        assert load_weights(network, tmp_path / "a.safetensors") == {"author": "me"}
        assert same(network.state_dict(), content["state_dict"])

    def test_tuning_starts_from_them(self, folder: Path, content: dict) -> None:
        for path in (folder, folder / WEIGHTS):
            network = build_model("resnet10", 5, 4, model="tsn")
            assert tune_from(network, path) == ["head.weight", "head.bias"]
            assert torch.equal(network.backbone.conv1.weight, content["state_dict"]["backbone.conv1.weight"])

    def test_damage_is_noticed(self, content: dict, folder: Path, tmp_path: Path) -> None:
        data, path = (folder / WEIGHTS).read_bytes(), tmp_path / "a.safetensors"
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        for damaged in (bytes(flipped), data[:-1], data[:1000], data[:20]):
            path.write_bytes(damaged)
            with pytest.raises(InputError, match=r"a\.safetensors: expected a whole safetensors file, got") as caught:
                read_checkpoint(path)
            assert "\n" not in str(caught.value)

    def test_an_unwritable_place(self, content: dict, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="expected to write a file, got No such file"):
            write_checkpoint(content, tmp_path / "none" / "a.safetensors")


class TestFolders:
    def test_config_says_what_the_checkpoint_said(self, folder: Path, content: dict) -> None:
        found, sha256 = read_hashed_checkpoint(folder)
        assert describe(found, folder) == describe(content, folder)
        assert (found["epoch"], found["config"], sha256) == (
            7,
            {"lr": 0.01},
            read_hashed_checkpoint(folder / WEIGHTS)[1],
        )
        config = json.loads((folder / CONFIG).read_text())
        assert config["id2label"] == {"0": "a", "1": "b"} and config["model_type"] == "tsn"

    def test_config_comes_before_what_the_file_says(self, folder: Path, tmp_path: Path) -> None:
        os.link(folder / WEIGHTS, tmp_path / WEIGHTS)
        config = json.loads((folder / CONFIG).read_text()) | {"id2label": {"1": "up", "0": "down"}}
        (tmp_path / CONFIG).write_text(json.dumps(config))
        assert describe(read_checkpoint(tmp_path), tmp_path).class_names == ("down", "up")

    @pytest.mark.parametrize("text", ["no json", "[]", '{"id2label": {"one": "a"}}', '{"id2label": 3}'])
    def test_a_wrong_config_is_one_line(self, folder: Path, tmp_path: Path, text: str) -> None:
        os.link(folder / WEIGHTS, tmp_path / WEIGHTS)
        (tmp_path / CONFIG).write_text(text)
        with pytest.raises(InputError, match=rf"{CONFIG}: expected what export\.py writes, got"):
            read_checkpoint(tmp_path)

    def test_what_is_no_checkpoint(self, tmp_path: Path) -> None:
        (tmp_path / "a.onnx").touch()
        for name, message in (("a.onnx", "got an ONNX file"), (".", "got a folder without it"),
                              ("none/a.pth", "got nothing there")):  # fmt: skip
            with pytest.raises(InputError, match=message):
                read_checkpoint(tmp_path / name)


class _Hub(http.server.BaseHTTPRequestHandler):
    """The hub's answers to its client: ``/owner/name/resolve/REVISION/FILE``."""

    root: Path
    sent: list[str]

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.wfile.write(self.answer())

    def answer(self) -> bytes:
        """Sends the head of an answer; returns what follows it."""
        owner, name, _, revision, file = ([*self.path.split("/"), *5 * [""]])[1:6]
        path = self.root / owner / name / file
        if not path.is_file() or revision not in ("v1", "0" * 40):
            self.send_error(404)
            return b""
        self.send_response(200)
        for key, value in (("X-Repo-Commit", "0" * 40), ("ETag", f'"{file}"')):
            self.send_header(key, value)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        self.sent += [file] if self.command == "GET" else []
        return path.read_bytes()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def hub(folder: Path) -> Iterator[str]:
    _Hub.root, _Hub.sent = folder.parents[1], []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


READ = """
import sys
from ops.checkpoints import read_checkpoint
from ops.runtime import InputError
for name in sys.argv[1:]:
    try:
        print(read_checkpoint(name)["epoch"])
    except InputError as error:
        print(error)
"""


class TestHub:
    def test_downloads_once(self, hub: str, tmp_path: Path) -> None:
        """A process of its own, because the client reads its settings once."""
        pytest.importorskip("huggingface_hub")
        place = {"PYTHONPATH": str(REPOSITORY), "HF_HOME": str(tmp_path / "cache"), "HF_ENDPOINT": hub}
        command = [sys.executable, "-c", READ, "owner/name@v1", "owner/name@v1", "owner/nothing@v1"]
        environment = {**os.environ, **place}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        first, second, nothing = done.stdout.splitlines()
        assert first == second == "7" and sorted(_Hub.sent) == [CONFIG, WEIGHTS]
        assert nothing.startswith("owner/nothing@v1: expected a checkpoint file, a folder, or the name of a model on")

    def test_without_its_client(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(InputError, match="install huggingface_hub: pip install huggingface_hub"):
            read_checkpoint("owner/name")
