"""A real Ray cluster of two nodes on this machine: two `ray start`, each with a core, a name and a network of its own.

The second node lives in a network namespace, joined to the first by a virtual cable, so that it can be cut off; its own
host name makes it another host to us. That takes root; without it these tests fail, unless SKIP_RAY=1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from sandbox import allowed_cores

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "harness.cli.app"]
FAILING = ("    return None\n", "    return [\n", "    raise ValueError\n")
PROBLEMS = 3
HEAD, OTHER, PORT = "10.231.77.1", "10.231.77.2", 6397
CABLE, NAMESPACE = "codeopt0", "codeopt"
# A node that is cut off is given up after some seconds instead of half a minute. The token is the test's own.
ENVIRONMENT = {
    "RAY_ADDRESS": f"{HEAD}:{PORT}",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "0f" * 32,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1500",
    "RAY_health_check_failure_threshold": "3",
    "OMP_NUM_THREADS": "1",
    "RAY": str(Path(sys.executable).with_name("ray")),
    "SLOTS": "1",
}


def system(*words: str, check: bool = True) -> None:
    subprocess.run(words, check=check, capture_output=True, text=True)


class Node:
    """One `ray start` and all that it started."""

    def __init__(self, folder: Path, core: int, *, head: bool) -> None:
        self.folder, self.core, self.head = folder, core, head
        self.process: subprocess.Popen[str] | None = None
        self.log = folder.parent / f"{folder.name}.log"

    def wait(self) -> None:
        wait_until(lambda: "Ray runtime started" in self.log.read_text())

    def start(self) -> None:
        place = ["head", f"--port={PORT}"] if self.head else [f"{HEAD}:{PORT}"]
        words = [
            str(ROOT / "recipes/cluster/ray.sh"), *place, f"--node-ip-address={HEAD if self.head else OTHER}",
            "--num-cpus=1", "--object-store-memory=80000000", f"--temp-dir={self.folder}",
            "--include-log-monitor=false", "--block",
        ]  # fmt: skip
        if not self.head:
            # `ip netns exec` also shows a /sys of its own, so that with a single core both nodes can lock it.
            net = ["nsenter", f"--net=/run/netns/{NAMESPACE}"] if len(allowed_cores()) > 1 else []
            net = net or ["ip", "netns", "exec", NAMESPACE]
            words = [*net, "unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', "other-host", *words]
        log = self.log.open("w")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        self.process = subprocess.Popen(
            ["taskset", "-c", str(self.core), *words],
            env=environment | ENVIRONMENT, stdout=log, stderr=log, text=True, cwd=ROOT, start_new_session=True,
        )  # fmt: skip

    def processes(self) -> list[psutil.Process]:
        """All of the node's, by what they were started with: workers belong to nobody once their raylet is gone."""
        found = []
        for process in psutil.process_iter(["pid", "cmdline", "environ"]):
            text = " ".join(process.info["cmdline"] or ())
            if str(self.folder) in text or str(self.folder) in str((process.info["environ"] or {}).get("RAY_LOG_DIR")):
                found.append(process)
        if self.process is not None and psutil.pid_exists(self.process.pid):
            with suppress(psutil.NoSuchProcess):
                family = psutil.Process(self.process.pid)
                found += [family, *family.children(recursive=True)]
        return list({process.pid: process for process in found}.values())

    def named(self, word: str) -> list[psutil.Process]:
        """The node's processes whose title has this word: raylet, or an actor's class."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error):  # it is just gone, or a zombie
                found += [process] if word in " ".join(process.cmdline()) else []
        return found

    def kill(self) -> None:
        """Everything at once, as a machine that loses power."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self.process is not None:
            self.process.wait()
            self.process = None


class Cluster:
    def __init__(self, folder: Path) -> None:
        cores = allowed_cores()
        self.head = Node(folder / "a", cores[0], head=True)
        self.other = Node(folder / "b", cores[-1], head=False)

    def up(self) -> None:
        system("ip", "netns", "add", NAMESPACE)
        system("ip", "link", "add", CABLE, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE)
        system("ip", "addr", "add", f"{HEAD}/30", "dev", CABLE)
        system("ip", "-n", NAMESPACE, "addr", "add", f"{OTHER}/30", "dev", "eth0")
        system("ip", "-n", NAMESPACE, "link", "set", "lo", "up")
        system("ip", "-n", NAMESPACE, "link", "set", "eth0", "up")
        self.heal()
        self.head.start()
        self.head.wait()
        self.other.start()
        self.other.wait()

    def cut(self) -> None:
        system("ip", "link", "set", CABLE, "down")

    def heal(self) -> None:
        system("ip", "link", "set", CABLE, "up")

    def mend(self) -> None:
        """As it was: both nodes there and joined."""
        self.heal()
        if not self.other.named("raylet/raylet"):
            self.other.kill()
            self.other.start()
            self.other.wait()

    def down(self) -> None:
        for node in (self.other, self.head):
            node.kill()
        system("ip", "link", "del", CABLE, check=False)
        system("ip", "netns", "del", NAMESPACE, check=False)


class Experiment:
    """An annotation of known solutions from the command line, in a folder of its own."""

    def __init__(self, root: Path, samples: Path) -> None:
        self.root, self.samples = root, samples
        self.folder = root / "samples/x/starter/train"

    def run(self, *options: object) -> str:
        process = self.start(*options)
        printed, _ = process.communicate(timeout=240)
        assert process.returncode == 0, printed
        return printed

    def start(self, *options: object) -> subprocess.Popen[str]:
        words = [*COMMAND, "annotate", "--root", str(self.root), "--save_path", "x", "--split", "train"]
        if not (self.folder / "samples.jsonl").exists():
            words += ["--samples", str(self.samples)]
        return subprocess.Popen(
            ["taskset", "-c", str(allowed_cores()[0]), *words, *map(str, options)],
            env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        )  # fmt: skip

    def rows(self, name: str) -> list[dict]:
        path = self.folder / name
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def verdicts(self) -> dict[tuple[str, int], tuple[str, str, str]]:
        """By sample; fails if one is judged twice."""
        rows = self.rows("executions.jsonl")
        found = {(r["task_id"], r["sample_id"]): (r["solution_id"], r["verdict"], r["integrity"]) for r in rows}
        assert len(found) == len(rows)
        return found

    def blocks(self) -> list[tuple[str, str, int]]:
        """(problem, host, round) of each block; fails if one is there twice."""
        found = [(row["task_id"], row["host"], row["round"]) for row in self.rows("measurements.jsonl")]
        assert len(set(found)) == len(found)
        return found

    def decided(self) -> dict[tuple[str, str, str], tuple[float, float]]:
        """Pairs that are decided: the interval of the ratio by (problem, slower, quicker)."""
        merged = self.root / "datasets/x/starter/train/merged.jsonl"
        pairs = {}
        for line in merged.read_text().splitlines():
            row = json.loads(line)
            for pair in row["decided"]:
                ids = [row["answers"][pair[side]]["solution_id"] for side in ("slow", "quick")]
                pairs[row["id"], ids[0], ids[1]] = (pair["low"], pair["high"])
        return pairs


def wait_until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
