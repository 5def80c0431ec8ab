"""Features of some videos as one file: NumPy's, safetensors or HDF5. The same features give the same bytes.

Each holds ``features`` (N, C), or (N, segments, C), float32; ``labels`` (N,) int64; and ``videos``, N names.
"""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ops.runtime import InputError


def check_format(form: str) -> None:
    """Raise InputError where a package is missing, before long work."""
    if form == "h5":
        try:
            import h5py  # noqa: F401
        except ImportError:
            raise InputError("expected h5py for --format h5, got none; pip install h5py") from None


def encode(form: str, features: np.ndarray, labels: Sequence[int], videos: Sequence[str]) -> bytes:
    """A file of one of FORMATS."""
    arrays: dict[str, Any] = {"features": features, "labels": np.array(labels, np.int64)}
    if form == "safetensors":
        from safetensors.numpy import save

        # One entry: the order of several is not always the same.
        return save(arrays, {"videos": json.dumps(list(videos))})
    file = io.BytesIO()
    if form == "npz":
        np.savez(file, videos=np.array(videos), **arrays)
        return file.getvalue()
    import h5py

    with h5py.File(file, "w") as made:
        for name, array in arrays.items():
            made.create_dataset(name, data=array)
        made.create_dataset("videos", data=list(videos), dtype=h5py.string_dtype())
    return file.getvalue()
