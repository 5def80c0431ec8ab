"""JPEG images decoded at reduced size: only on request, no smaller than allowed, and the same pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.video.frame_folder import FrameFolder
from tests.clip_files import natural_picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures of 400 x 301 pixels, as JPEG and as PNG."""
    made = tmp_path_factory.mktemp("pictures")
    for number in (1, 2):
        smooth = Image.fromarray(natural_picture(301, 400, number)).reduce(2).resize((400, 301))
        smooth.save(made / f"{number}.jpg", quality=95)
        smooth.save(made / f"{number}.png")
    return made


@pytest.mark.parametrize(
    ("least", "part"), [(None, 1), (302, 1), (151, 1), (150, 2), (76, 2), (75, 4), (37, 8), (1, 8)]
)
def test_no_smaller_than_allowed(folder: Path, least: int | None, part: int) -> None:
    frames = FrameFolder(folder, 2, "{}.jpg", least).get_frames(np.array([0, 1]))
    assert frames.shape == (2, -(-301 // part), -(-400 // part), 3)
    for number, frame in enumerate(frames, 1):
        whole = Image.open(folder / f"{number}.jpg").resize(frame.shape[1::-1], Image.Resampling.BOX)
        assert np.abs(frame.astype(int) - np.asarray(whole)).mean() < 3


def test_other_images_stay_whole(folder: Path) -> None:
    assert FrameFolder(folder, 2, "{}.png", 10).get_frames(np.array([0])).shape == (1, 301, 400, 3)
