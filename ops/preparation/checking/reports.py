"""Reports of check_dataset.py: text for people, CSV for programs, and lists without what cannot be used."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ops.preparation.checking.list_check import Entry, Finding, VideoList
from ops.runtime import plural, write_atomically

COLUMNS = ("line", "path", "label", "problem", "unusable", "detail")


def report_paths(part: VideoList, folder: Path | None) -> dict[str, Path]:
    """Where the report of a list goes: text, csv and clean list."""
    base = (folder or part.path.parent) / part.path.stem
    return {
        "text": base.with_name(f"{base.name}_check.txt"),
        "csv": base.with_name(f"{base.name}_check.csv"),
        "clean": base.with_name(f"{base.name}_clean.txt"),
    }


def unusable_entries(findings: Sequence[Finding]) -> set[Entry]:
    """Entries that are not in the clean list."""
    return {finding.entry for finding in findings if finding.entry and finding.problem.unusable}


def heading(part: VideoList, findings: Sequence[Finding]) -> str:
    """One line that sums a list up."""
    touched = {finding.entry for finding in findings if finding.entry}
    count = plural(len(part.entries), "line")
    if not findings:
        return f"{part.path}: {count}, nothing wrong"
    unusable = len(unusable_entries(findings))
    return f"{part.path}: {count}, {len(touched):,} with problems, of which {unusable:,} cannot be used"


def counts(findings: Sequence[Finding]) -> str:
    """How often each problem was found."""
    kinds = Counter(finding.problem.kind for finding in findings)
    return ", ".join(f"{kind}: {count:,}" for kind, count in kinds.most_common())


def describe(finding: Finding) -> str:
    """A finding in one line."""
    kind, detail, unusable = finding.problem
    place = f"line {finding.entry.number}, {finding.entry.text.strip()}" if finding.entry else "the list"
    return f"{place}: {kind}{' (unusable)' if unusable else ''}: {detail}"


def text_report(part: VideoList, findings: Sequence[Finding], settings: str) -> str:
    lines = [heading(part, findings), settings]
    if findings:
        lines += [counts(findings), "", *map(describe, findings)]
    return "".join(f"{line}\n" for line in lines)


def csv_report(findings: Sequence[Finding]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for finding in findings:
        kind, detail, unusable = finding.problem
        entry = finding.entry
        place = [entry.number, str(entry.video.path) if entry.video else entry.text, entry.label] if entry else [""] * 3
        writer.writerow([*place, kind, "yes" if unusable else "no", detail])
    return text.getvalue()


def clean_list(part: VideoList, findings: Sequence[Finding]) -> str:
    left_out = unusable_entries(findings)
    return "".join(f"{entry.text}\n" for entry in part.entries if entry not in left_out)


def write_text(path: Path, text: str) -> None:
    """Writes a file so that it is whole whenever it exists; characters that are no UTF-8 are escaped."""
    write_atomically(path, text.encode(errors="backslashreplace"))
