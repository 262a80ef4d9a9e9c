"""A short run of `make fuzz`: mutated artifacts and inputs get documented answers."""

from __future__ import annotations

import re
import sys

from conftest import ROOT, Project


def test_mutated_files_are_harmless_or_refused_with_a_documented_code(finished_once):
    options = ["--project", str(finished_once.path), "--seconds", "15"]

    printed = Project(ROOT).ok(sys.executable, "-m", "benchmarks.fuzz", *options)

    (refused,) = re.findall(r"refused: (\d+)$", printed, re.MULTILINE)
    assert int(refused) > 5
    assert re.search(r"each of \d+ mutated files was harmless, or refused", printed)
