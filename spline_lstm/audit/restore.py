"""A finished run, brought back from DVC's cache byte for byte.

DVC's run cache holds a record of every stage that it ever executed: what went in and what came out, with the hash
under which the content is stored. Experiments in the queue share it. So the record of a run's health gate names every
artifact that the gate saw.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from spline_lstm.audit.health import check_run
from spline_lstm.run.contract import RunPaths
from spline_lstm.run.errors import ArtifactError, InputNotFoundError
from spline_lstm.run.files import CORRUPT, read_bytes, write_bytes

MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Cache:
    """Where DVC keeps things.

    Attributes:
        objects: Contents, by their hash.
        records: What each execution of a stage read and wrote.
    """

    objects: Path
    records: Path

    @classmethod
    def here(cls) -> Cache:
        """The cache of the repository that the working folder is in.

        Raises:
            InputNotFoundError: It is in none.
        """
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        try:
            with Repo() as repo:
                return cls(Path(repo.cache.local.path), Path(repo.stage_cache.cache_dir))
        except DvcException as error:
            raise InputNotFoundError(
                f"Runs are restored in a repository of DVC. Received: {error}. Run from the root of the project."
            ) from error

    def executions(self, output: Path) -> Iterator[Mapping[str, str]]:
        """Hashes of all that each execution with this output read and wrote, by path; newest first."""
        line = f"path: {output.as_posix()}\n"
        for _, content in sorted(self._records(line), reverse=True):
            try:
                record = YAML(typ="safe").load(content)
                deps, outs = ({entry["path"]: entry.get("md5") for entry in record[each]} for each in ("deps", "outs"))
            except (YAMLError, *CORRUPT):  # of a DVC that was killed
                continue
            if output.as_posix() in outs:
                yield {name: md5 for name, md5 in {**deps, **outs}.items() if md5}

    def runs(self, root: Path) -> list[str]:
        """The run_ids whose health gate was passed, in order."""
        healthy = re.compile(rf"^- path: {re.escape((root / 'health').as_posix())}/(.+)\.json$", re.MULTILINE)
        return sorted({name for _, content in self._records("") for name in healthy.findall(content)})

    def _records(self, text: str) -> Iterator[tuple[int, str]]:
        for file in self.records.glob("*/*/*"):
            content = file.read_text(encoding="utf-8", errors="replace")
            if text in content:
                yield file.stat().st_mtime_ns, content

    def content(self, md5: str) -> Path:
        return self.objects / md5[:2] / md5[2:]


def restore_run(paths: RunPaths, cache: Cache) -> int:
    """Bring every artifact of a finished run back to the bytes that its health gate saw, and pass the gate again.

    Returns:
        How many files were written; the others were as they should be.

    Raises:
        InputNotFoundError: No such run has finished here, or the cache has lost a part of it.
        ArtifactError: The cache holds other bytes than it promises, or a file cannot be written.
    """
    wanted = _recorded(paths, cache)
    if lost := [name for name, md5 in wanted.items() if not cache.content(md5).is_file()]:
        raise InputNotFoundError(
            f"DVC's cache must hold all of run {paths.run_id!r}. Received: no {', '.join(lost)}. "
            "Get them with `dvc pull` on the commit of the run, or make it again."
        )
    written = 0
    for name, md5 in wanted.items():
        if not Path(name).is_file() or _md5(read_bytes(Path(name))) != md5:
            content = read_bytes(cache.content(md5))
            if _md5(content) != md5:
                raise ArtifactError(
                    f"`{cache.content(md5)}` must hold what its name says. Received: other bytes. "
                    "Delete it, and make the run again."
                )
            write_bytes(Path(name), content)
            written += 1
    check_run(paths)
    return written


def _recorded(paths: RunPaths, cache: Cache) -> dict[str, str]:
    """The hash of each artifact of the newest run of this name that passed its gate."""
    files = {file.as_posix() for group in paths.artifacts().values() for file in group} | {paths.health.as_posix()}
    for gate in cache.executions(paths.health):
        seen = {name: md5 for name, md5 in gate.items() if name in files}
        if files <= seen.keys() and all(map(MD5.fullmatch, seen.values())):
            return seen
    known = cache.runs(paths.root)
    raise InputNotFoundError(
        f"A run named {paths.run_id!r} must have finished here. "
        f"Received: {', '.join(known[:20]) if known else 'none at all'}. "
        "Choose one of these, or get more with `dvc pull --run-cache`."
    )


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
