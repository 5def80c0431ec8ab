"""The model card of an exported network: what it is, how accurate and by which measurement, how to use it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ops.data import test_scale
from ops.models import NETWORKS
from ops.runtime import plural


class Measured(NamedTuple):
    """Accuracies in percent, top-5 where it says something, and how they were measured, in words."""

    top1: float
    top5: float | None
    protocol: str


def model_card(name: str, about: Mapping[str, Any], results: Sequence[Measured]) -> str:
    """Markdown with a YAML head, as the Hugging Face hub reads it.

    Args:
        name: of the folder.
        about: what the network says of itself.
        results: accuracies besides the one that it says.
    """
    measured = [*_of_validation(about), *results]
    return f"""{_head(name, about, measured)}
# {name}

{_network(about)}

## Accuracy

{_accuracy(measured)}

## Use

With the code of this network, in the folder of its repository:

```sh
python scripts/predict.py {name} clip.mp4
```

```python
from ops.inference import Predictor, from_pretrained

print(Predictor("{name}")("clip.mp4"))
network = from_pretrained("{name}")    # clips {_shape(about)}, uint8, to logits (N, {about["num_classes"]})
```

`uint8` clips are raw RGB pixels. Float clips are in 0 to 1, normalised with mean {about["mean"]} and standard deviation
{about["std"]}. The short side of a frame is scaled to {test_scale(about["input_size"])} pixels, and its centre cropped.
{_classes(about)}"""


def _of_validation(about: Mapping[str, Any]) -> list[Measured]:
    said = about["accuracy"]
    if not said or "top1" not in said:
        return []
    several = about["num_classes"] > 5
    top5 = float(said["top5"]) if several and said.get("top5") is not None else None
    return [Measured(float(said["top1"]), top5, f"{said.get('measured', 'not known')}; validation of training")]


def _head(name: str, about: Mapping[str, Any], measured: Sequence[Measured]) -> str:
    """JSON is YAML too."""
    tags = ["video-classification", "action-recognition", about["network"], about["arch"]]
    head: dict[str, Any] = {"library_name": "msn", "pipeline_tag": "video-classification", "tags": tags}
    if measured:
        data = {"name": about["dataset"] or "unknown", "type": about["dataset"] or "unknown"}
        results = [
            {
                "task": {"type": "video-classification"},
                "dataset": data,
                "metrics": [
                    {"type": "accuracy", "name": f"{top} [{each.protocol}]", "value": round(value, 2)}
                    for top, value in (("top-1", each.top1), ("top-5", each.top5))
                    if value is not None
                ],
            }
            for each in measured
        ]
        head["model-index"] = [{"name": name, "results": results}]
    lines = (f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items())
    return "\n".join(("---", *lines, "---"))


def _network(about: Mapping[str, Any]) -> str:
    data = f" trained on {about['dataset']}" if about["dataset"] else ""
    own = NETWORKS[about["network"]]
    motion = tuple(about["motion"])
    changed = "" if motion == own else f" with the motion modules {', '.join(motion) or 'none'}"
    segments = f"{about['num_segments']} segments of {plural(about['frames_per_segment'], 'frame')}"
    size = f"{about['input_size']} x {about['input_size']} pixels"
    return (
        f"{about['network'].upper()} with a {about['arch']} backbone{changed},{data}: clips of {segments}, {size}, "
        f"{plural(about['num_classes'], 'class')}."
    )


def _accuracy(measured: Sequence[Measured]) -> str:
    if not measured:
        return "The checkpoint does not say its accuracy."
    rows = [f"| {m.top1:.2f} % | {'' if m.top5 is None else f'{m.top5:.2f} %'} | {m.protocol} |" for m in measured]
    return "\n".join(("| top-1 | top-5 | measured with |", "| --- | --- | --- |", *rows))


def _shape(about: Mapping[str, Any]) -> str:
    return (
        f"(N, {about['num_segments']}, {about['frames_per_segment']}, 3, {about['input_size']}, {about['input_size']})"
    )


def _classes(about: Mapping[str, Any]) -> str:
    names = about["class_names"]
    return f"\n## Classes\n\n{', '.join(names)}\n" if names else ""
