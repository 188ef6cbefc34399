"""Finds a Docker engine, and on a machine that has none brings one up.

An engine that answers is used as it is. Otherwise `up` starts one: through the machine's service manager, or, where
there is none (a container, a minimal virtual machine), as our own daemon. `down` stops only a daemon of our own, known
by process id and start time; every other engine is left alone.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import docker
import psutil
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from sandbox.errors import EngineError, SandboxError

INSTALL_PAGE = "https://docs.docker.com/engine/install/"
SYSTEM_SETTINGS = Path("/etc/docker/daemon.json")
START_SECONDS = 60.0
STOP_SECONDS = 30.0
PING_SECONDS = 10
START_TIME_TOLERANCE = 2.0  # psutil derives a start time from the boot time, which moves when the clock is set

Say = Callable[[str], None]


def state_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where the log and the record of our own daemon are kept."""
    env = os.environ if environment is None else environment
    base = env.get("XDG_STATE_HOME") or str(Path(env.get("HOME") or "~").expanduser() / ".local" / "state")
    return Path(base) / "code-optimise" / "engine"


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Where our own daemon keeps its things. The defaults are Docker's; other values run a second engine beside it."""

    state: Path = field(default_factory=state_folder)
    socket: Path = Path("/var/run/docker.sock")
    pid_file: Path = Path("/var/run/docker.pid")
    exec_root: Path = Path("/var/run/docker")
    data_root: Path | None = None
    map_users: bool = False  # containers in a user namespace of their own (userns-remap)

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def log(self) -> Path:
        return self.state / "dockerd.log"

    @property
    def settings(self) -> Path:
        return self.state / "daemon.json"

    @property
    def record(self) -> Path:
        return self.state / "engine.json"


@dataclass(frozen=True, slots=True)
class Started:
    """The daemon that we started: enough to know it again, and not to mistake another process for it."""

    pid: int
    start_time: float


# --- finding one ------------------------------------------------------------------------------------------------


def candidate_urls(environment: Mapping[str, str], uid: int, home: Path, context_url: str | None = None) -> list[str]:
    """Where an engine may listen, most specific first. A set DOCKER_HOST is the only candidate."""
    if environment.get("DOCKER_HOST"):
        return [environment["DOCKER_HOST"]]
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    urls = [
        *([context_url] if context_url else []),
        "unix:///var/run/docker.sock",
        f"unix://{runtime}/docker.sock",  # rootless
        f"unix://{home}/.docker/run/docker.sock",  # Docker Desktop
    ]
    return list(dict.fromkeys(urls))


def _context_url() -> str | None:
    """The engine of the docker command's current context, if one is set."""
    try:
        from docker.context import ContextAPI  # noqa: PLC0415  # reads the user's docker config: only when needed

        context = ContextAPI.get_current_context()
        host = context.Host if context else None
    except Exception:  # a broken docker config must not hide a reachable engine
        return None
    return str(host) if host else None


def _open(url: str, timeout: int) -> docker.DockerClient:
    client = docker.DockerClient(base_url=url, timeout=timeout, tls=_tls())
    try:
        client.ping()
    except Exception:
        client.close()
        raise
    return client


def _tls() -> TLSConfig | bool:
    """TLS as the docker command takes it from DOCKER_TLS_VERIFY and DOCKER_CERT_PATH."""
    config: TLSConfig | None = kwargs_from_env().get("tls")
    return config or False


def connect(*, timeout: int = 60) -> docker.DockerClient:
    """A client of the first engine that answers. Raises EngineError with what was tried and the fix.

    timeout: seconds that one request may take.
    """
    tried: list[str] = []
    denied = False
    for url in candidate_urls(os.environ, os.getuid(), Path.home(), _context_url()):
        if url.startswith("unix://") and not Path(url.removeprefix("unix://")).exists():
            tried.append(f"{url} (not there)")
            continue
        try:
            _open(url, PING_SECONDS).close()
            return _open(url, timeout)
        except Exception as error:  # the SDK raises its own, requests' and socket errors
            denied = denied or "Permission denied" in str(error)
            tried.append(f"{url} ({_short(error)})")
    if denied:
        fix = "add yourself to the engine's group (sudo usermod -aG docker $USER, then log in again)"
    elif os.environ.get("DOCKER_HOST"):
        fix = "start the engine that DOCKER_HOST names, or unset DOCKER_HOST"
    else:
        fix = f"`python -m sandbox engine up` (make setup does it), or install Docker: {INSTALL_PAGE}"
    raise EngineError(f"no Docker engine answers; tried {', '.join(tried)}", fix=fix)


def engine_url(client: docker.DockerClient) -> str:
    """The address of a client's engine, for people and for a second client (the SDK hides a socket's path)."""
    adapter = client.api.get_adapter(client.api.base_url)
    socket = getattr(adapter, "socket_path", None)
    return f"unix://{socket}" if socket else str(client.api.base_url)


def maps_users(client: docker.DockerClient) -> bool:
    """Whether the engine runs containers in user namespaces of their own (rootless, or userns-remap)."""
    options = client.info().get("SecurityOptions") or []
    return any(f"name={kind}" in option for option in options for kind in ("rootless", "userns"))


def is_gvisor(client: docker.DockerClient, runtime: str | None) -> bool:
    """Whether containers of that runtime (None: the default one) run on gVisor's kernel."""
    info = client.info()
    known = (info.get("Runtimes") or {}).get(runtime or info.get("DefaultRuntime"), {})
    return Path(known.get("path") or "").name.startswith("runsc")


def _short(error: Exception) -> str:
    text = str(error)
    for known in ("Permission denied", "Connection refused", "No such file", "timed out", "Name or service not known"):
        if known in text:
            return known.lower()
    return text.splitlines()[0][:120] if text else type(error).__name__


# --- starting one -----------------------------------------------------------------------------------------------


def daemon_command(config: EngineConfig, *, group: int | None = None) -> list[str]:
    """Our daemon's command line. No bridge and no firewall rules: neither containers nor builds need a network."""
    command = ["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none"]
    command += ["--host", config.url, "--pidfile", str(config.pid_file), "--exec-root", str(config.exec_root)]
    command += ["--config-file", str(config.settings)]
    if config.data_root:
        command += ["--data-root", str(config.data_root)]
    if group is not None:
        command += ["--group", str(group)]
    return command


def daemon_settings(config: EngineConfig, runsc: str | None, present: str = "") -> dict[str, Any]:
    """Our daemon's settings file: the machine's own (`present`, its text), and gVisor as a runtime where there is one.

    Raises EngineError if the machine's own cannot be read.
    """
    try:
        settings = json.loads(present or "{}")
    except ValueError as error:
        raise EngineError(f"no JSON: {error}", where=str(SYSTEM_SETTINGS), fix="mend or remove that file") from error
    if runsc:
        # No network of gVisor's own, and our filter of system calls applied by it, which it leaves out unasked.
        runtime = {"path": runsc, "runtimeArgs": ["--network=none", "--oci-seccomp"]}
        settings["runtimes"] = {"runsc": runtime} | settings.get("runtimes", {})
    if config.map_users:
        settings["userns-remap"] = "default"
    return dict(settings)


def process_is(pid: int, name: str, start_time: float | None = None) -> bool:
    """Whether that process is alive, has that name, and (if given) started then."""
    if pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.name() != name:
            return False
        return start_time is None or abs(process.create_time() - start_time) < START_TIME_TOLERANCE
    except psutil.NoSuchProcess:
        return False


def stale_pid_files(config: EngineConfig) -> list[Path]:
    """Pid files whose process is gone or is something else by now: dockerd would refuse to start beside them."""
    containerd = config.exec_root / "containerd" / "containerd.pid"
    named = ((config.pid_file, "dockerd"), (containerd, "containerd"))
    return [path for path, name in named if path.exists() and not process_is(_read_pid(path), name)]


def live_daemon(config: EngineConfig) -> int | None:
    """The process id of a dockerd that runs by the pid file, whether or not it answers yet."""
    pid = _read_pid(config.pid_file)
    return pid if process_is(pid, "dockerd") else None


def _read_pid(path: Path) -> int:
    """The number in a pid file; -1, which is no process, where there is none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return -1


@dataclass(frozen=True, slots=True)
class Privilege:
    """How to run a command as root: a prefix, and the group that the engine's socket must get."""

    prefix: tuple[str, ...]
    group: int | None

    def run(self, *command: str) -> None:
        try:
            subprocess.run([*self.prefix, *command], check=True, stdin=subprocess.DEVNULL)  # noqa: S603  # fixed words
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            raise EngineError(
                f"`{' '.join(command)}` failed: {error}", fix=f"install and start Docker by hand: {INSTALL_PAGE}"
            ) from error


def privilege() -> Privilege | None:
    """Root, or sudo that asks for no password; None where there is neither."""
    if os.geteuid() == 0:
        return Privilege((), None)
    if shutil.which("sudo"):
        asked = subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True)  # noqa: S607  # the user's own sudo
        if asked.returncode == 0:
            return Privilege(("sudo", "-n"), os.getgid())
    return None


def apt_install(root: Privilege, packages: tuple[str, ...], say: Say) -> None:
    say(f"installing {' '.join(packages)} with apt-get")
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq")
    root.run(*quiet, "update")
    root.run(*quiet, "install", "-y", "--no-install-recommends", *packages)


@contextmanager
def _held(config: EngineConfig) -> Iterator[None]:
    """One `up` or `down` at a time."""
    config.state.mkdir(parents=True, exist_ok=True)
    with (config.state / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def up(say: Say = print) -> None:
    """Make sure that an engine answers: use what runs, else start one. Raises EngineError."""
    try:
        client = connect()
    except EngineError as error:
        if os.environ.get("DOCKER_HOST"):
            raise
        nothing = error
    else:
        say(f"Docker engine {client.version()['Version']} answers at {engine_url(client)}")
        client.close()
        return
    root = privilege() if sys.platform == "linux" else None
    if root is None or not shutil.which("apt-get"):
        raise EngineError(
            f"{nothing.what}; it can't be installed from here (that takes Debian or Ubuntu, as root or with sudo)",
            fix=f"install and start Docker, then run this again: {INSTALL_PAGE}",
        )
    config = EngineConfig()
    with _held(config):
        if not _dockerd():
            apt_install(root, ("docker.io",), say)
        if Path("/run/systemd/system").is_dir():
            say("starting the docker service")
            root.run("systemctl", "start", "docker")
            _wait_for(config.url, say, alive=lambda: True, log=None)
        elif (pid := live_daemon(config)) is not None:
            # Somebody, such as the package's own start script, is just bringing one up.
            _wait_for(config.url, say, alive=lambda: process_is(pid, "dockerd"), log=None)
        else:
            start_daemon(config, root, say)


def _dockerd() -> str | None:
    """The daemon's program; /usr/sbin is not on every user's PATH."""
    return shutil.which("dockerd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def start_daemon(config: EngineConfig, root: Privilege, say: Say = print) -> Started:
    """Start our own daemon in its own session and wait until it answers. Raises EngineError with the end of its log."""
    config.state.mkdir(parents=True, exist_ok=True)
    for path in stale_pid_files(config):
        say(f"removing {path}: its process is gone")
        root.run("rm", "-f", str(path))
    present = SYSTEM_SETTINGS.read_text() if SYSTEM_SETTINGS.exists() else ""
    config.settings.write_text(json.dumps(daemon_settings(config, shutil.which("runsc"), present), indent=2))
    program, *options = daemon_command(config, group=root.group)
    say(f"starting {program} (log: {config.log})")
    with config.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # fixed words and our own paths
            [*root.prefix, _dockerd() or program, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _wait_for(config.url, say, alive=lambda: process.poll() is None, log=config.log)
    # Not process.pid: under sudo that is sudo's.
    pid = _read_pid(config.pid_file)
    started = Started(pid, psutil.Process(pid).create_time())
    config.record.write_text(json.dumps(asdict(started)))
    return started


def _wait_for(url: str, say: Say, *, alive: Callable[[], bool], log: Path | None) -> None:
    begin = time.monotonic()
    while (waited := time.monotonic() - begin) < START_SECONDS:
        try:
            _open(url, PING_SECONDS).close()
        except Exception as error:  # not up yet, in one of many ways
            last = _short(error)
        else:
            say(f"Docker engine answers after {waited:.0f} s")
            return
        if not alive():
            break
        if int(waited) % 5 == 4:
            say(f"waiting for the engine: {waited:.0f} of {START_SECONDS:.0f} s ({last})")
        time.sleep(0.5 if waited < 3 else 1.0)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:]) if log else ""
    raise EngineError(
        f"the engine did not answer within {START_SECONDS:.0f} s" if alive() else f"dockerd ended at once:\n{tail}",
        where=str(log or url),
        fix="read the log; in a container, dockerd needs the privileges to mount and to make cgroups",
    )


def read_record(path: Path) -> Started | None:
    """The daemon that we once started; None where there is no (readable) record."""
    try:
        data = json.loads(path.read_text())
        return Started(int(data["pid"]), float(data["start_time"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def down(config: EngineConfig | None = None, say: Say = print) -> bool:
    """Stop the daemon that we started, if it still runs; whether there was one. Never touches another engine."""
    config = config or EngineConfig()
    with _held(config):
        started = read_record(config.record)
        if started is None or not process_is(started.pid, "dockerd", started.start_time):
            config.record.unlink(missing_ok=True)
            say("no engine that we started is running; nothing to stop")
            return False
        root = privilege()
        if root is None:
            raise EngineError("our engine runs as root and can't be stopped from here", fix=f"sudo kill {started.pid}")
        root.run("kill", "-TERM", str(started.pid))
        begin = time.monotonic()
        while process_is(started.pid, "dockerd", started.start_time):
            if time.monotonic() - begin > STOP_SECONDS:
                raise EngineError(
                    f"dockerd (process {started.pid}) has not ended after {STOP_SECONDS:.0f} s", where=str(config.log)
                )
            time.sleep(0.2)
        config.record.unlink(missing_ok=True)
        say(f"stopped our engine (process {started.pid})")
        return True


def status(say: Say = print) -> bool:
    """Say which engine answers and whether it is our own; whether one answers."""
    try:
        client = connect()
    except EngineError as error:
        say(str(error))
        return False
    started = read_record(EngineConfig().record)
    own = started is not None and process_is(started.pid, "dockerd", started.start_time)
    version, url = client.version()["Version"], engine_url(client)
    client.close()
    say(f"Docker engine {version} at {url}" + (f", started by us (process {started.pid})" if own and started else ""))
    return True


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox engine", description=__doc__)
    parser.add_argument("action", choices=["up", "down", "status"])
    action = parser.parse_args(arguments).action
    say: Say = lambda text: print(text, file=sys.stderr)  # noqa: E731
    try:
        if action == "up":
            up(say)
        elif action == "down":
            down(say=say)
        else:
            return 0 if status(say) else 1
    except SandboxError as error:
        say(f"error: {error}")
        return 2
    return 0

