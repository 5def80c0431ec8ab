"""The body of explain.py: a network and videos in, pictures out."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from ops.inference import Explainer, Explanation, Source, find_sources, open_predictor
from ops.runtime import (
    Failure,
    InputError,
    check_writable,
    print_any_name,
    progress_bar,
    report,
    require,
    setup_logger,
    write_atomically,
)
from ops.settings import ExplainConfig
from ops.video import VideoError
from ops.visual.explained.class_activation import draw_class_maps
from ops.visual.explained.map_video import write_map_video
from ops.visual.explained.motion_maps import draw_branches, draw_gate_maps, draw_gates
from ops.visual.explained.offsets import draw_offsets
from ops.visual.explained.segment_scores import draw_scores, scores_table

ALWAYS = ("scores", "class_map", "video")
# Of motion modules.
PICTURES_OF = {"stpme": ("branches",), "dsme": ("gates", "offsets"), "ltdm": ("gates",)}


class Explaining:
    """One call of explain.py.

    Args:
        config: its settings.

    Raises:
        InputError: nothing can be explained or written.
    """

    def __init__(self, config: ExplainConfig) -> None:
        self.config = config
        self.failures = 0

    def run(self) -> int:
        """Draw; returns the exit status: 0, or 2 where a video could not be read."""
        config = self.config
        print_any_name()
        setup_logger(True)
        found = find_sources(config.sources)
        sources = [source for source in found if isinstance(source, Source)]
        for entry in found:
            if isinstance(entry, Failure):
                self._fail(entry.reason)
        if sources:
            self._check_out()
            explainer = Explainer(open_predictor(config), config.wanted, config.layer, config.blocks)
            design = explainer.network.design
            names = choose_pictures(config.what, design.network, design.motion)
            with progress_bar(len(sources) * len(names), "picture") as bar:
                for source, folder in zip(sources, folders(config.out, sources), strict=True):
                    self._explain(explainer, source, folder, names, bar)
        return 2 if self.failures else 0

    def _check_out(self) -> None:
        """Before long work: whether the folder can be written to."""
        out = self.config.out
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{out}: expected a folder to write to, got {error.strerror}") from None
        check_writable(out / "scores.png")

    def _explain(
        self, explainer: Explainer, source: Source, folder: Path, names: Sequence[str], bar: "tqdm[None]"
    ) -> None:
        done = bar.n
        try:
            explanation = explainer(source)
            folder.mkdir(exist_ok=True)
            said = f"{explanation.class_name} {100 * explanation.probability:.1f} %"
            tqdm.write(f"{source.name}: {said}, explained in {folder}/")
            for name in names:
                for path, content in drawn(name, explanation):
                    fewer = self.config.palette and path.endswith(".png")
                    write_atomically(folder / path, in_few_colours(content) if fewer else content)
                if name == "video":
                    transform = explainer.predictor.transform
                    write_map_video(explanation, source, transform, folder / "class_map.mp4")
                bar.update()
        except VideoError as error:
            self._fail(str(error))
        bar.update(done + len(names) - bar.n)

    def _fail(self, reason: str) -> None:
        self.failures += 1
        with tqdm.external_write_mode():  # no progress bar in the same line
            report(reason)


def drawn(name: str, explanation: Explanation) -> Iterator[tuple[str, bytes]]:
    """The files of a picture, by name, but for that of ``video``."""
    if name == "scores":
        yield "scores.png", draw_scores(explanation)
        yield "scores.csv", scores_table(explanation)
    elif name == "class_map":
        yield "class_map.png", draw_class_maps(explanation)
    elif name == "branches":
        yield "branches.png", draw_branches(explanation)
    elif name == "gates":
        yield "gates.png", draw_gates(explanation)
        for gates in explanation.gates:
            if gates.maps:
                yield f"gates_{gates.block}.png", draw_gate_maps(explanation, gates)
    elif name == "offsets":
        for block in dict.fromkeys(offsets.block for offsets in explanation.offsets):
            yield (
                f"offsets_{block}.png",
                draw_offsets(explanation, [o for o in explanation.offsets if o.block == block]),
            )


def in_few_colours(content: bytes) -> bytes:
    """A PNG file with 256 colours."""
    png = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").quantize(256).save(png, format="png", optimize=True)
    return png.getvalue()


def choose_pictures(wanted: Sequence[str] | None, network: str, motion: Sequence[str]) -> list[str]:
    """The pictures that are drawn of a network with these motion modules.

    Raises:
        InputError: it does not have what is wanted.
    """
    there = [*ALWAYS, *(name for module in motion for name in PICTURES_OF.get(module, ()))]
    for name in wanted or ():
        require(name in there, f"--what of {', '.join(there)}, which this {network} network has", name)
    return list(there if wanted is None else dict.fromkeys(wanted))


def folders(out: Path, sources: Sequence[Source]) -> list[Path]:
    """A folder of its own for each video, called like it."""
    found: list[Path] = []
    for source in sources:
        name, number = Path(source.name).stem or "video", 1
        while (path := out / (name if number == 1 else f"{name}_{number}")) in found:
            number += 1
        found.append(path)
    return found
