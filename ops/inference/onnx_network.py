"""A network in an ONNX file of export.py, run by onnxruntime in place of PyTorch.

N videos, T segments of F frames, K classes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ops.checkpoints import Description, describe_without_weights
from ops.evaluation import Resolved, resolve
from ops.models import IMAGE_MEAN, IMAGE_STD
from ops.runtime import InputError

_CHANGEABLE = {"dense_sample"}  # settings that the graph does not depend on


class OnnxNetwork:
    """Called as a Recognizer is, with raw pixels (N, T, F, 3, s, s) uint8; gives logits (N, K).

    Args:
        path: an ONNX file that export.py wrote.
        device: where it runs; on a GPU with the package onnxruntime-gpu, else on the CPU.

    Raises:
        InputError: it cannot be read, or says nothing of itself.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise InputError(f"{path}: expected onnxruntime to run it, got none; pip install onnxruntime") from None
        if not path.is_file():
            raise InputError(f"{path}: expected an ONNX file, got {'a folder' if path.is_dir() else 'nothing there'}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        there = onnxruntime.get_available_providers()
        wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
        providers = [name for name in (*wanted, "CPUExecutionProvider") if name in there]
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # of many classes, all of onnxruntime's own
            raise InputError(f"{path}: expected an ONNX file, got: {str(error).splitlines()[0]}") from None
        self.found = self._described(path)
        (clips,) = self._session.get_inputs()
        self._name, self._is_float = clips.name, clips.type == "tensor(float)"
        self.num_segments, self.frames_per_segment = clips.shape[1:3]
        self.num_classes: int = self.found.num_classes or 0

    def _described(self, path: Path) -> Description:
        said = self._session.get_modelmeta().custom_metadata_map.get("about")
        try:
            about = json.loads(said or "null")
        except ValueError:
            about = None
        if not isinstance(about, Mapping):
            raise InputError(f"{path}: expected an ONNX file that export.py wrote, got one that says nothing of itself")
        return describe_without_weights({"about": about}, path)

    def settings(self, given: Mapping[str, Any], path: Path) -> Resolved:
        """What the file says; of what is given, only what the graph does not depend on may differ.

        Raises:
            InputError: something else differs.
        """
        for name, value in given.items():
            there = getattr(self.found, name)
            if name not in _CHANGEABLE and value != there:
                raise InputError(f"{path}: expected {name} {there}, for which it was exported, got {value}")
        return resolve(given, self.found, path)

    def __call__(self, clips: Tensor) -> Tensor:
        if self._is_float:
            channels_first = (1, 1, 1, 3, 1, 1)
            mean, std = (255 * torch.tensor(values).view(channels_first) for values in (IMAGE_MEAN, IMAGE_STD))
            clips = (clips.cpu() - mean) / std
        (logits,) = self._session.run(None, {self._name: clips.cpu().numpy()})
        return torch.from_numpy(logits)
