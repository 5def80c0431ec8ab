"""A video with the class-activation maps of its clip on it. T segments, s x s pixels, h x w maps."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from ops.data import TestTransform
from ops.inference import Explanation, Source, timed_pictures
from ops.visual.contact_sheet import font
from ops.visual.explained.class_activation import blend, relative_strengths
from ops.visual.overlay import shortened
from ops.visual.traced_clips import box_of, coordinates
from ops.visual.video_file import even_size, write_video

GROUND, TRACK, READ, NOW, WORDS = "#10141a", "#39424d", "#8c9cad", "#ffb020", "#ffffff"


def write_map_video(explanation: Explanation, source: Source, transform: TestTransform, path: Path) -> None:
    """Write the video: each picture has the map of the segment whose middle frame is nearest, where the crop was.

    Below it are the class, the score of that segment and a line of time with the frames that were read.

    Args:
        transform: by which the network saw the video.

    Raises:
        InputError: it cannot be written.
        VideoError: the source cannot be read.
    """
    write_video(path, _pictures(explanation, source, transform))


def _pictures(
    explanation: Explanation, source: Source, transform: TestTransform
) -> Iterator[tuple[float, Image.Image]]:
    strengths = relative_strengths(explanation.class_maps)
    middles = explanation.clip.middle_frames
    size = None
    for number, (seconds, picture) in enumerate(timed_pictures(source)):
        if size is None:
            size = even_size(picture.shape[1], picture.shape[0])
            edges = crop_edges(transform, picture.shape[:2], size)
            strip = Strip(explanation, size[0])
        segment = int(np.abs(middles - number).argmin())
        image = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
        left, top, right, bottom = edges
        image.paste(Image.fromarray(blend(np.asarray(image)[top:bottom, left:right], strengths[segment])), (left, top))
        ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), outline=READ)
        whole = Image.new("RGB", (size[0], size[1] + strip.height), GROUND)
        whole.paste(image)
        whole.paste(strip.draw(number, segment), (0, size[1]))
        yield seconds, whole


def crop_edges(transform: TestTransform, shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what the network saw, in pixels of a picture of ``size`` (width, height).

    Args:
        shape: (height, width) of the video.
    """
    places, _ = transform(coordinates(torch.empty(1, 3, *shape)))
    left, top, right, bottom = np.array(box_of(places[0])[0]).clip(0, 1) * (*size, *size)
    return round(left), round(top), round(right), round(bottom)


class Strip:
    """What stands below the pictures of a video ``width`` pixels wide."""

    def __init__(self, explanation: Explanation, width: int) -> None:
        self.explanation = explanation
        self.width = width
        letters = max(12, width // 40)
        self.font, self.pad = font(letters), letters // 2
        self.height = round(3.6 * letters) // 2 * 2

    def draw(self, number: int, segment: int) -> Image.Image:
        """For frame ``number``, which has the map of this segment."""
        it, pad = self.explanation, self.pad
        strip = Image.new("RGB", (self.width, self.height), GROUND)
        draw = ImageDraw.Draw(strip)
        score = f"segment {segment + 1} of {len(it.scores)}, score {it.scores[segment, it.label]:.1f}"
        draw.text((self.width - pad, pad), score, NOW, self.font, anchor="ra")
        room = self.width - 4 * pad - round(self.font.getlength(f"{score}  100.0 %"))
        name = shortened(it.class_name, self.font, room)
        draw.text((pad, pad), f"{name}  {100 * it.probability:.1f} %", WORDS, self.font)
        top, bottom = self.height - 2 * pad, self.height - pad
        draw.rectangle((pad, top, self.width - pad, bottom), fill=TRACK)
        scale = (self.width - 2 * pad) / it.clip.num_frames
        for each, frames in enumerate(it.clip.frames):
            start, end = (pad + scale * place for place in (frames.min(), frames.max() + 1))
            draw.rectangle((start, top, max(start, end - 1), bottom), fill=NOW if each == segment else READ)
        middle = pad + scale * (number + 0.5)
        draw.rectangle((middle - 1, top - pad // 2, middle, bottom + pad // 2), fill=WORDS)
        return strip
