"""The runbooks' commands work as they stand, in their order, in a fresh clone."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from conftest import ROOT, SHARED, Project

BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_korean_runbook_has_the_same_commands():
    english, korean = (
        re.findall(r"^```(?:bash|sh)\n.*?^```$", (ROOT / "docs" / name).read_text(encoding="utf-8"), re.M | re.S)
        for name in ("runbook.md", "runbook.ko.md")
    )

    assert english == korean


def test_our_runbook_runs_from_top_to_bottom(small):
    blocks = BLOCK.findall((ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"))
    assert len(blocks) > 5

    printed = small.ok("bash", "-e", "-c", "\n".join(blocks))

    back = printed.rpartition("runs that can be restored")[2]
    assert "files written" in back
    assert "Running stage" not in back, "the runbook promises that going back executes nothing"


@pytest.fixture
def bucket(monkeypatch):
    """The address of a server that speaks S3's protocol, with one empty bucket named `backup`."""
    for name, value in {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "moto.server", "--port", address.rpartition(":")[2]]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(urllib.request.Request(f"{address}/backup", method="PUT")).close()
                break
            except urllib.error.URLError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("remote", ["folder", "bucket"])
def test_a_run_that_was_pushed_comes_back_in_another_clone_and_nothing_is_executed_again(
    remote, finished, tmp_path, request
):
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", runbook, re.MULTILINE | re.DOTALL)
    (push,), (pull,), (other,) = (
        [block for block in blocks if f"dvc {word}" in block] for word in ("push", "pull", "remote modify")
    )
    if remote == "folder":
        push = push.replace("/mnt/backup", str(tmp_path / "backup"))
    else:
        add, *rest = push.replace("/mnt/", "s3://").splitlines()
        push = "\n".join([add, other.replace("https://s3.example.com", request.getfixturevalue("bucket")), *rest])
    finished.ok("bash", "-e", "-c", push, RUN_ID="first")
    before = {file: file.read_bytes() for group in finished.paths("first").artifacts().values() for file in group}
    shutil.rmtree(finished.path / ".dvc" / "cache")
    shutil.rmtree(finished.path / "artifacts")
    finished.ok("git", "clone", "--quiet", ".", str(tmp_path / "clone"))

    for project in (finished, Project(tmp_path / "clone")):
        printed = project.ok("bash", "-e", "-c", pull.replace("COMMIT", "HEAD"))

        assert "run first is healthy" in printed
        for file, content in before.items():
            assert (project.path / file.relative_to(finished.path)).read_bytes() == content
        assert "Running stage" not in project.ok("dvc", "repro")


def test_a_queued_run_that_failed_stands_in_the_table_of_the_runbook(finished):
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^dvc exp show .*$", runbook, re.MULTILINE)
    finished.ok(
        "dvc", "exp", "run", "--queue", "--name", "broken", "-S", "run_id=broken", "-S", "data.path=nowhere.csv"
    )
    finished.ok("dvc", "queue", "start")
    deadline = time.monotonic() + 240
    while "Failed" not in (status := finished.ok("dvc", "queue", "status")):
        assert time.monotonic() < deadline, status
        time.sleep(1)

    lines = finished.ok("bash", "-c", table).splitlines()

    (shown,) = [line for line in lines if "broken" in line]
    assert "Failed" in shown
    assert "nowhere.csv" in finished.ok("dvc", "queue", "logs", "broken")


def test_the_operators_first_runbook_gives_its_expected_output(small):
    file = SHARED / "docs" / "seed-runbook.ko.md"
    if not file.is_file():
        pytest.skip("the runbook that the project was founded on is not part of it")
    sections = file.read_text(encoding="utf-8").split("\n## 7)")[0]
    blocks = [re.sub(r"^cd .*$", "", block, flags=re.M) for block in BLOCK.findall(sections)]
    assert len(blocks) == 5

    printed = small.ok("bash", "-e", "-c", "\n".join(blocks))

    assert "[OK] run_id consistency check passed" in printed
    assert "[OK] health check passed: phase4-smoke-" in printed
