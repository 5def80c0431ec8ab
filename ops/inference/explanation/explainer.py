"""From a network and a video to an explanation of its answer.

    from ops.inference import Explainer, Predictor
    explanation = Explainer(Predictor("best.pth.tar"))("clip.mp4")

T segments of F frames, s x s pixels.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from ops.data import crop, from_images
from ops.evaluation import softmax
from ops.inference.explanation.class_activation import choose_layer, class_maps
from ops.inference.explanation.explanation import Explanation, SeenClip
from ops.inference.explanation.observation import choose_blocks, observe
from ops.inference.predictor import Predictor
from ops.inference.sources import Source, find_source
from ops.models import Recognizer
from ops.runtime import InputError
from ops.video import read_frames


class Explainer:
    """Explains what a predictor says of videos: of one clip and one crop of each.

    Args:
        predictor: with its network.
        wanted: the class to explain, by name or number; None for the most probable one of each video.
        layer: of the class-activation maps, layer1 to layer4; None for the deepest one that is fine enough.
        blocks: whose gates and offsets are shown, like layer2.0, or ``("all",)``; None for the last of each stage.

    Raises:
        InputError: there is no such class or block, or the network is no PyTorch module.
    """

    def __init__(
        self,
        predictor: Predictor,
        wanted: str | None = None,
        layer: str | None = None,
        blocks: Sequence[str] | None = None,
    ) -> None:
        self.predictor = predictor
        self.label = None if wanted is None else find_label(wanted, predictor.class_names)
        self.layer = layer or choose_layer(predictor.settings.input_size)
        if not isinstance(predictor.network, Recognizer):
            raise InputError("expected a checkpoint to explain the answers of, got an ONNX file")
        self.network = predictor.network
        self.blocks = list(choose_blocks(self.network, blocks))

    def __call__(self, video: str | Path | Source) -> Explanation:
        """Explain the answer to one video.

        Raises:
            InputError: there is not one video of this name.
            VideoError: it cannot be read.
        """
        source = video if isinstance(video, Source) else find_source(str(video))
        predictor, network = self.predictor, self.network
        clip = self.read(source)
        pixels = torch.from_numpy(clip.pixels).movedim(-1, 2)[None].to(predictor.device)  # (1, T, F, 3, s, s)
        seen = observe(network, pixels, self.blocks)
        answer = predictor.answer(source.name, softmax(seen.logits[None])[0])
        label = answer.top(1)[0].label if self.label is None else self.label
        maps = class_maps(network, pixels, label, self.layer).cpu().numpy()
        return Explanation(
            source.name, clip, answer, label, seen.scores, self.layer, maps, seen.branches, seen.gates, seen.offsets
        )

    def read(self, source: Source) -> SeenClip:
        """The clip that the predictor sees.

        Raises:
            VideoError: it cannot be read.
        """
        predictor = self.predictor
        reader = source.open(predictor.decoder)
        frames = predictor.sampler.test(len(reader), predictor.network.num_segments, 0, 0, 1)  # (T, F)
        pictures, places = read_frames(reader, frames)
        whole, (box,) = predictor.transform(from_images(pictures))
        pixels = crop(whole, box).movedim(1, -1).numpy()  # (U, s, s, 3)
        return SeenClip(frames, pixels[places], len(reader))


def find_label(wanted: str, names: Sequence[str]) -> int:
    """The number of a class that is called by its name or number; a name comes first.

    Raises:
        InputError: there is none.
    """
    if wanted in names:
        return list(names).index(wanted)
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    few = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    raise InputError(f"expected --class NAME or a number from 0 to {len(names) - 1} ({few}), got {wanted}")
