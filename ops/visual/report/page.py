"""A self-contained HTML page: a template with its styles, scripts and data in it."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

FOLDER = Path(__file__).parent / "template"


def render(template: str, data: Mapping[str, Any], **values: Any) -> bytes:
    """The page of a template.

    Args:
        template: name of its file.
        data: what the page's scripts read, as JSON.
        values: what the template itself reads.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.globals["source"] = lambda name: Markup((FOLDER / name).read_text(encoding="utf-8"))
    text = environment.get_template(template).render(data=data, **values)
    return text.encode("utf-8", errors="backslashreplace")  # a file name may hold bytes that are no text


def packed(values: np.ndarray, kind: str) -> str:
    """Numbers as base64 of a little-endian array, for JavaScript's typed arrays; ``kind`` is ``u2``, ``f4``, ..."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()).decode()
