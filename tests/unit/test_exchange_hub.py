"""What is sent to the Hub, seen by a small real server: the commands run in processes of their own, as a user's do."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness.records import Answer, MergedRow
from harness.store import write_rows

ROOT = Path(__file__).resolve().parents[2]
REPO = "someone/pairs"


class Hub(BaseHTTPRequestHandler):
    """The Hub's answers to an upload, and what it was asked."""

    private: ClassVar[bool] = True
    refuses: ClassVar[bool] = False
    asked: ClassVar[list[tuple[str, str, str, bytes]]] = []  # method, path, authorisation, body

    def do_POST(self) -> None:
        body = self._note()
        if self.refuses:
            self._answer({"error": "You don't have the rights to create a dataset there"}, status=403)
        elif self.path == "/api/repos/create":
            self._answer({"url": f"http://{self.headers['Host']}/datasets/{REPO}"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            sent = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files]
            self._answer({"files": sent})
        elif "/commit/" in self.path:
            self._answer({"commitUrl": f"/datasets/{REPO}/commit/{'a' * 40}", "commitOid": "a" * 40})
        else:  # checking the card's header
            self._answer({"errors": [], "warnings": []})

    def do_GET(self) -> None:
        self._note()
        if "/tree/" in self.path:
            there = {"type": "file", "path": "data/train-00000-of-00009.parquet", "size": 1, "oid": "b" * 40}
            self._answer([there, there | {"path": ".gitattributes"}])
        elif "/revision/" in self.path:
            there = [{"rfilename": "data/train-00000-of-00009.parquet"}, {"rfilename": ".gitattributes"}]
            self._answer({"id": REPO, "sha": "c" * 40, "private": self.private, "siblings": there})
        else:
            self._answer({"id": REPO, "sha": "c" * 40, "private": self.private, "siblings": []})

    def _note(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.command, self.path, self.headers.get("Authorization", ""), body))
        return body

    def _answer(self, value: Any, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.private, Hub.refuses, Hub.asked = True, False, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def push(tmp_path: Path, hub: str, *options: str, token: str = "hf_secret", repo: str = REPO) -> tuple[int, str]:
    answers = [
        Answer(f"    return {number}\n", 1.0 if passed else None, number, f"{number:016x}", "PASSED", "strong")
        for number, passed in enumerate((True, False))
    ]
    time = {"count": 1.0, "avg": 1.0, "std": 0.0, "cov": 0.0}
    folder = tmp_path / "runs" / "datasets" / "default" / "starter" / "train"
    write_rows(folder / "merged.jsonl", [MergedRow("t", "def f():\n", "f", answers, time, 1, [])])
    environment = {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"HF_TOKEN": token} if token else {}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    arguments = ["export", "--what", "preference", "--task", "pvf", "--root", str(tmp_path / "runs")]
    arguments += ["--push_to", repo, "--out", str(tmp_path / "out"), *options]
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli.app", *arguments],
        check=False,
        cwd=ROOT,
        env=kept | environment | {"no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def created() -> list[dict[str, Any]]:
    return [json.loads(body) for _, path, _, body in Hub.asked if path == "/api/repos/create"]


def committed() -> dict[str, bytes | None]:
    """Files of the one commit with their content; None: taken away."""
    (body,) = (body for _, path, _, body in Hub.asked if "/commit/" in path)
    files: dict[str, bytes | None] = {}
    for line in map(json.loads, body.splitlines()):
        if line["key"] == "file":
            files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        elif line["key"] == "deletedFile":
            files[line["value"]["path"]] = None
    return files


def test_a_private_repository_gets_the_folder_and_loses_older_shards(tmp_path: Path, hub: str) -> None:
    code, output = push(tmp_path, hub)
    assert code == 0, output
    assert f"/datasets/{REPO}" in output
    (asked,) = created()
    assert (asked["organization"], asked["name"], asked["type"]) == ("someone", "pairs", "dataset")
    assert asked.get("private") is True or asked.get("visibility") == "private"
    assert {authorisation for _, path, authorisation, _ in Hub.asked if "create" in path} == {"Bearer hf_secret"}
    written = {str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    assert sorted(written) == ["README.md", "data/train-00000-of-00001.parquet"]
    assert committed() == written | {"data/train-00000-of-00009.parquet": None}


def test_public_only_when_asked(tmp_path: Path, hub: str) -> None:
    Hub.private = False  # the repository is there already and everybody can see it
    code, output = push(tmp_path, hub)
    assert code == 2
    assert "this repository is public" in output
    assert not [path for _, path, _, _ in Hub.asked if "/commit/" in path]
    code, output = push(tmp_path, hub, "--public", "--overwrite")
    assert code == 0, output
    assert created()[-1].get("private") is False or created()[-1].get("visibility") == "public"
    assert "README.md" in committed()


def test_without_a_token_nothing_is_written_or_sent(tmp_path: Path, hub: str) -> None:
    code, output = push(tmp_path, hub, token="")
    assert code == 2
    assert "there is no token for the Hub" in output
    assert "hf auth login" in output
    assert Hub.asked == []
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_none_is_refused_first(tmp_path: Path, hub: str) -> None:
    code, output = push(tmp_path, hub, repo="pairs")
    assert (code, Hub.asked) == (2, [])
    assert "give OWNER/NAME" in output


def test_a_refusal_says_why_and_the_folder_stays(tmp_path: Path, hub: str) -> None:
    Hub.refuses = True
    code, output = push(tmp_path, hub)
    assert code == 2
    assert "the Hub refused" in output
    assert "Traceback" not in output
    assert (tmp_path / "out" / "README.md").exists()


def test_a_hub_that_is_not_there_says_so(tmp_path: Path) -> None:
    code, output = push(tmp_path, "http://127.0.0.1:9")
    assert code == 2
    assert "Traceback" not in output
    assert "127.0.0.1:9" in output
