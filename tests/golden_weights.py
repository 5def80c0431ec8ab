"""Weights that are a function of their names, and the golden values computed with them (golden/README.md)."""

import gzip
import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_FILES = ("dsme_train_mode.npz", *(f"{network}_resnet50_t8.npz" for network in ("msn", "tdn", "tsm", "tsn")))
MOST_KEPT = 4096  # values of one array in golden/*.npz
Shapes = dict[str, tuple[int, ...]]

# DS-ME's parts by the reference's names and by this project's, and which BatchNorm stands behind a convolution.
DSME_PARTS = {
    "conv_down": "reduce",
    "bn1": "reduce_bn",
    "motion_offset": "align3",
    "motion_offset.conv_offset": "align3.offset",
    "motion_offset_7": "align5",
    "motion_offset_7.conv_offset": "align5.offset",
    "conv1": "pooled",
    "bn3": "pooled_bn",
    "time_conv": "temporal",
    "bn_t": "temporal_bn",
    "conv": "expand",
    "bn2": "expand_bn",
}
DSME_NORMS = {"conv_down": "bn1", "conv1": "bn3", "time_conv": "bn_t", "conv": "bn2"}


def read_shapes(path: Path) -> Shapes:
    """A list of parameters, ``name, tab, 64x3x7x7`` or ``scalar`` a line, gzipped or not."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    pairs = (line.split("\t") for line in text.splitlines())
    return {name: () if shape == "scalar" else tuple(map(int, shape.split("x"))) for name, shape in pairs}


def published_shapes(network: str) -> Shapes:
    """Names and shapes of a published ResNet-50 of 174 classes; TSN's are TSM's without ``.net``."""
    if network == "tsn":
        return {name.replace(".net.", "."): shape for name, shape in published_shapes("tsm").items()}
    return read_shapes(GOLDEN / f"{network}_resnet50_reference_keys.tsv.gz")


def shapes_of(module: nn.Module) -> Shapes:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def golden_state(shapes: Shapes, prefix: str = "") -> dict[str, Tensor]:
    """A state dict whose values depend on names and shapes alone; ``prefix`` is put in front of names to hash them."""
    state = {}
    for name, shape in shapes.items():
        rs = np.random.RandomState(zlib.crc32((prefix + name).encode()))
        value = _draw(name, shape, rs.standard_normal, rs.uniform)
        state[name] = torch.from_numpy(np.asarray(value, dtype=np.float32))
    return state | _counters(shapes)


def fill(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights of the same distributions for a module of the reference's names, drawn faster."""
    generator = torch.Generator().manual_seed(seed)

    def normal(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator)

    def uniform(low: float, high: float, shape: tuple[int, ...]) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    shapes = shapes_of(module)
    module.load_state_dict({k: _draw(k, shape, normal, uniform) for k, shape in shapes.items()} | _counters(shapes))
    return module


def _draw(name: str, shape: tuple[int, ...], normal: Callable, uniform: Callable) -> np.ndarray | Tensor:
    scale = 0.5 if "conv_offset" in name else 1.0
    if name.endswith("running_var"):
        return scale * uniform(0.5, 1.5, shape)
    if name.endswith((".bias", "running_mean")):
        return scale * (0.1 * normal(shape))
    if len(shape) == 1:
        return scale * uniform(0.4, 0.9, shape)
    return scale * (normal(shape) * math.sqrt(2 / math.prod(shape[1:])))


def _counters(shapes: Shapes) -> dict[str, Tensor]:
    return {name: torch.tensor(0) for name in shapes if name.endswith("num_batches_tracked")}


def golden_input(seed: int, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


def dsme_from_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """DS-ME's weights under this project's names; a bias in front of a BatchNorm goes into its running mean."""
    state = dict(state)
    for conv, norm in DSME_NORMS.items():
        state[f"{norm}.running_mean"] = state[f"{norm}.running_mean"] - state.pop(f"{conv}.bias")
    return {dsme_name(name): value for name, value in state.items()}


def dsme_name(name: str) -> str:
    """``conv_down.weight`` -> ``reduce.weight``."""
    part, _, leaf = name.rpartition(".")
    return f"{DSME_PARTS[part]}.{leaf}"


def subsample(array: np.ndarray) -> np.ndarray:
    """At most MOST_KEPT values: every p-th in C order, p the least prime that does not divide the size.

    Such a step visits all channels, rows and columns alike.
    """
    flat = np.asarray(array).reshape(-1)
    step = max(1, math.ceil(flat.size / MOST_KEPT))
    while step > 1 and (flat.size % step == 0 or any(step % d == 0 for d in range(2, step))):
        step += 1
    return flat[::step]


def store_golden(source: Path, target: Path = GOLDEN) -> None:
    """Make the small copy from the full golden values: ``store_golden(Path(".../golden"))``."""
    for name in GOLDEN_FILES:
        with np.load(source / name) as full:
            np.savez_compressed(target / name, **{key: subsample(full[key]) for key in full})
    for network in ("msn", "tdn", "tsm"):
        keys = (source / f"{network}_resnet50_reference_keys.tsv").read_bytes()
        (target / f"{network}_resnet50_reference_keys.tsv.gz").write_bytes(gzip.compress(keys, mtime=0))
    (target / "dsme_train_mode_keys.tsv").write_bytes((source / "dsme_train_mode_keys.tsv").read_bytes())


def relative_error(got: Tensor | np.ndarray, expected: Tensor | np.ndarray) -> float:
    """||got - expected|| / ||expected||, in float64; shapes must agree."""
    got, expected = (torch.as_tensor(v).detach().double() for v in (got, expected))
    assert got.shape == expected.shape, f"expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    return float(torch.linalg.vector_norm(got - expected) / torch.linalg.vector_norm(expected))
