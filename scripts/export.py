#!/usr/bin/env python3
"""Write a trained network as an ONNX file, or as a folder in the form of Hugging Face.

    python scripts/export.py best.pth.tar msn.onnx
    python scripts/export.py best.pth.tar msn_fp16.onnx --fp16 --videos 'clips/*.mp4'
    python scripts/export.py best.pth.tar msn_motion --results results/motion/results.json

What is written is read back and compared with the checkpoint on videos; it is kept only if both agree.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.runtime import run_script
from ops.settings import ExportConfig, parse
from ops.settings import export_parser as parser


def main() -> None:
    config = parse(parser(), ExportConfig)
    from ops.export import export  # takes longer to import than to say --help

    sys.exit(export(config))


if __name__ == "__main__":
    run_script(main)
