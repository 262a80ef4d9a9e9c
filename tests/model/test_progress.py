"""A fit shows a bar in a terminal and a line an epoch elsewhere; its first estimate leaves compiling out."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

EPOCHS = 3
MINUTES = re.compile(r"<(?:(\d+):)?(\d+):(\d+)")


@pytest.fixture
def prepared(project):
    project.set(train__epochs=EPOCHS)
    assert project.stage("preprocess").returncode == 0
    return project


def test_a_log_gets_one_line_an_epoch_and_no_bar(prepared):
    done = prepared.stage("train")

    assert "\r" not in done.stderr
    epochs = [line for line in done.stderr.splitlines() if line.startswith("epoch ")]
    *epochs, again = epochs
    assert [line.split(":")[0] for line in epochs] == [f"epoch {number}/{EPOCHS}" for number in range(1, EPOCHS + 1)]
    assert all(re.search(r"loss \d\.\d+, validation \d\.\d+; .* s left$", line) for line in epochs)
    assert re.match(r"epoch 1/1: loss \d\.\d+; ", again)  # on all rows, where none is left to validate


def test_a_terminal_gets_a_bar_whose_first_estimate_is_sober(prepared):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    started = subprocess.Popen(
        [sys.executable, "-m", "stages.train"], cwd=prepared.path, stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 1 << 16):
            shown += block
    except OSError:  # how Linux says that the other end was closed
        pass
    os.close(ours)
    assert started.wait() == 0

    text = shown.decode()
    assert f"epoch 1/{EPOCHS}" in text
    assert "\r" in text
    assert not re.search(r"^epoch \d+/\d+: loss", text, re.MULTILINE)
    hours, minutes, _ = MINUTES.findall(text)[0]
    assert (int(hours or 0), int(minutes)) < (0, 10)  # compiling takes seconds, a batch milliseconds
