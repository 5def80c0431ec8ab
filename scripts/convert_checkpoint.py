#!/usr/bin/env python3
"""Convert a published checkpoint of MSN, TDN, TSM or TSN to this project's form.

    python scripts/convert_checkpoint.py published.pth.tar converted.pth.tar

The other scripts read published checkpoints as they are; a converted one is smaller and loads directly. The
logits stay the same.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # ops/, from any working directory

from ops.runtime import OneLineParser, run_script


def parser() -> OneLineParser:
    made = OneLineParser(description="Convert a published checkpoint of MSN, TDN, TSM or TSN to this project's form.")
    made.add_argument("source", metavar="IN", type=Path, help="checkpoint as its authors published it (required)")
    made.add_argument("target", metavar="OUT", type=Path, help="file to write; it must not exist yet (required)")
    return made


def main() -> None:
    parsed = parser().parse_args()
    from ops.export import convert  # takes longer to import than to say --help

    print("\n".join(convert(parsed.source, parsed.target)))


if __name__ == "__main__":
    run_script(main)
