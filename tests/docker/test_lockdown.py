"""The probes in real containers: no complaint as we make them, the right complaints where something lacks."""

from __future__ import annotations

import json

import docker
import pytest

from sandbox import Limits
from sandbox.container import SLOTS, ContainerSpec, create_options
from sandbox.lockdown_report import probe_problems
from sandbox.seccomp import profile_text

pytestmark = pytest.mark.docker

UID = 987_654
LIMITS = {
    name: getattr(Limits(), name) for name in ("cpu_seconds", "memory_bytes", "file_bytes", "open_files", "processes")
}
NO_NEW_PRIVILEGES = "no-new-privileges:true"


@pytest.fixture(scope="module")
def probed(docker_engine, sandbox_image):
    """Probe a container made with the given options changed; what is found to be wrong."""

    def probe(change, given=LIMITS):
        options = create_options(ContainerSpec(sandbox_image.id, 0, Limits()), range(UID, UID + SLOTS)) | {
            "security_opt": [NO_NEW_PRIVILEGES, "seccomp=" + profile_text()],
            "entrypoint": ["python3", "-s", "-m", "guest.probe", json.dumps({"uid": UID, "limits": given})],
            "auto_remove": False,
            "log_config": {"type": "json-file"},  # so that the output can be read after the end
        }
        container = docker_engine.containers.create(**(options | change))
        try:
            container.start()
            container.wait(timeout=60)
            errors = container.logs(stdout=False).decode()
            assert errors == ""
            return json.loads(container.logs(stderr=False))
        finally:
            container.remove(force=True)

    return probe


def names(problems):
    return {problem.partition(":")[0] for problem in problems}


def test_nothing_is_open_in_a_container_as_we_make_it(probed):
    facts = probed({})
    assert probe_problems(facts) == []
    assert facts["socket AF_UNIX"] == facts["io_uring_setup"] == facts["ptrace TRACEME"] == "refused EPERM"
    assert facts["clone3"] == "refused ENOSYS"
    assert facts["too many processes"] == "refused EAGAIN"


def test_without_a_filter(probed):
    found = names(probe_problems(probed({"security_opt": [NO_NEW_PRIVILEGES, "seccomp=unconfined"]})))
    assert found >= {
        "filter", "socket AF_UNIX", "socket AF_INET", "shmget", "msgget", "semget", "mq_open", "ptrace TRACEME",
        "process_vm_readv", "userfaultfd", "memfd_create", "sched_setaffinity", "mknod FIFO", "name_to_handle_at",
        "socketpair datagram", "clone3",
    }  # fmt: skip
    assert not any(name.startswith(("limit", "raise", "too", "write", "read")) for name in found)


def test_with_the_engines_own_filter(probed):
    found = names(probe_problems(probed({"security_opt": [NO_NEW_PRIVILEGES]})))
    assert found >= {"socket AF_UNIX", "socket AF_INET", "shmget", "ptrace TRACEME", "sched_setaffinity"}
    assert not found & {"mount", "bpf", "keyctl", "unshare NEWUSER", "clone NEWUSER"}


@pytest.mark.parametrize(
    ("change", "complaints"),
    [
        ({"tmpfs": {"/scratch/0": f"rw,exec,mode=0755,uid={UID},gid={UID}"}},
         {"full scratch", "too many names", "execute from scratch"}),
        ({"tmpfs": {"/scratch/0": f"rw,noexec,size=4194304,uid={UID},gid={UID}", "/more": "rw"}},
         {"too many names", "writable mounts"}),
        ({"devices": ["/dev/kmsg:/dev/other:r"]}, {"devices"}),
    ],
    ids=["scratch without limits", "a second writable folder", "a device"],
)  # fmt: skip
def test_what_is_missing_is_found_and_nothing_else(probed, change, complaints):
    assert names(probe_problems(probed(change))) == complaints


def test_without_no_new_privileges_nothing_starts(probed):
    """The engine then loads the filter before it drops its own privileges, which the filter forbids."""
    with pytest.raises(docker.errors.APIError, match="not permitted"):
        probed({"security_opt": ["seccomp=" + profile_text()]})
    assert "no_new_privileges" in names(probe_problems(probed({"security_opt": []})))


def test_other_limits_are_hit_as_well(probed):
    facts = probed({}, LIMITS | {"processes": 5, "open_files": 30})
    assert probe_problems(facts) == []
