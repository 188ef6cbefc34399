"""`annotate --engine ray`: the driver's side. It hands problems to hosts and writes what comes back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.annotation.executing import Judged, warn_of_internal
from harness.annotation.judged import JudgedProblems
from harness.annotation.measuring import passing_of
from harness.annotation.settings import AnnotationSettings
from harness.annotation.stage import EXECUTIONS, MEASUREMENTS, Crew, Work, note_image
from harness.cluster.dispatch import Dispatch
from harness.cluster.host import Event, Host, HostFacts, ProblemWork
from harness.cluster.ray_cluster import SLOT, START_RAY, Actor, Call, Lost, Node, connect, disconnect, nodes
from harness.cluster.ray_cluster import ready as ready_calls
from harness.cluster.ray_cluster import result as result_of
from harness.errors import UserError
from harness.progress import Reporter
from harness.records import ExecutionRow, MeasurementBlock
from harness.row_index import TaskIndex
from harness.store import AppendFile
from harness.timing.schedule import current_blocks
from sandbox import Verdict

OPEN_SECONDS = 180.0  # for the first host to be ready
JOIN_SECONDS = 15.0  # more for the others that are on their way, so that problems are shared out evenly
EVENT_SECONDS = 10.0  # that a host waits for something to happen before it answers that nothing has
LOOK_SECONDS = 2.0  # between looks for nodes that came or came back
RETRY_SECONDS = 5.0  # before a node is tried again, longer after each failure in a row
MOST_FAILURES = 6  # in a row: the node is left alone
GONE_SECONDS = 120.0  # without any host before the run ends


class OnRay:
    """The engine whose hosts are the nodes of a Ray cluster that offer timing slots."""

    @contextmanager
    def crew(self, folder: Path, settings: AnnotationSettings, reporter: Reporter) -> Iterator[Crew]:
        connect()
        with ExitStack() as stack:
            stack.callback(disconnect)
            hosts = _Hosts(settings, reporter)
            stack.callback(hosts.close)
            hosts.wait_for_the_first()
            yield _OnHosts(hosts)


@dataclass(slots=True)
class _Member:
    """A host that is being opened (facts None) or at work; `call`: the answer that is awaited."""

    actor: Actor
    call: Call
    facts: HostFacts | None = None


@dataclass(slots=True)
class _Failures:
    """Of one node, in a row."""

    count: int = 0
    again_at: float = 0.0


@dataclass(slots=True)
class _Change:
    """What became known of a host, by its name."""

    name: str
    opened: HostFacts | None = None
    events: Sequence[Event] = ()
    lost: bool = False


@dataclass(slots=True)
class _Hosts:
    """The actors of all nodes, replaced as they go."""

    settings: AnnotationSettings
    reporter: Reporter
    members: dict[str, _Member] = field(default_factory=dict)  # by the node's name
    failures: dict[str, _Failures] = field(default_factory=dict)
    reasons: dict[str, Exception | str] = field(default_factory=dict)
    image: str | None = None
    looked_at: float = float("-inf")

    def wait_for_the_first(self) -> None:
        """Raises UserError, SandboxError or what else the hosts say, where none can be opened."""
        if not any(node.resources.get(SLOT) for node in nodes()):
            raise UserError(f"no node of the Ray cluster offers {SLOT}", where="--engine ray", fix=START_RAY)
        end = time.monotonic() + OPEN_SECONDS
        while not self.working:
            self.changes(0.5)
            hopeless = not self.members and all(one.count >= MOST_FAILURES for one in self.failures.values())
            if time.monotonic() > end or (self.reasons and hopeless) or self._refused:
                raise self.error()
        end = time.monotonic() + JOIN_SECONDS
        while len(self.working) < len(self.members) and time.monotonic() < end:
            self.changes(0.5)

    @property
    def _refused(self) -> bool:
        """Every node said why it can't be used, and another run's cores are not the reason: waiting would not help."""
        told = [reason for reason in self.reasons.values() if isinstance(reason, Exception)]
        return not self.members and bool(told) and not any("in use" in str(reason) for reason in told)

    def error(self) -> Exception:
        told = [reason for reason in self.reasons.values() if isinstance(reason, Exception)]
        if told:
            return told[0]
        listing = "; ".join(f"{host}: {reason}" for host, reason in self.reasons.items()) or "none answers"
        return UserError(f"no host of the Ray cluster can be had ({listing})", where="--engine ray", fix=START_RAY)

    @property
    def working(self) -> dict[str, HostFacts]:
        return {name: member.facts for name, member in self.members.items() if member.facts is not None}

    def changes(self, seconds: float) -> list[_Change]:
        """What happened, at the latest after so many seconds. New nodes are looked for now and then."""
        if time.monotonic() - self.looked_at > LOOK_SECONDS:
            self.looked_at = time.monotonic()
            self._open_new()
        calls = {member.call: name for name, member in self.members.items()}
        if not calls:
            time.sleep(min(seconds, LOOK_SECONDS))
            return []
        return [self._change(calls[call]) for call in ready_calls(list(calls), seconds)]

    def add(self, name: str, works: Sequence[ProblemWork]) -> None:
        if works:
            with suppress(Lost):  # then its events are lost, too, which is where it is noticed
                self.members[name].actor.call("add", works)

    def _open_new(self) -> None:
        for node in nodes():
            slots = int(node.resources.get(SLOT, 0))
            failed = self.failures.setdefault(node.name, _Failures())
            waiting = failed.count >= MOST_FAILURES or time.monotonic() < failed.again_at
            if slots and node.name not in self.members and not waiting:
                actor = Actor(Host, node, (slots, self.settings), resources={SLOT: slots})
                self.members[node.name] = _Member(actor, actor.call("open"))

    def _change(self, name: str) -> _Change:
        member = self.members[name]
        try:
            answer = result_of(member.call)
            if member.facts is None:
                self._check_image(answer)
                member.facts = answer
                self.reasons.pop(member.actor.node.host, None)
                change = _Change(name, opened=answer)
            else:
                if any(event.row is None and not event.warning for event in answer):  # a problem is done: it works
                    self.failures[name] = _Failures()
                change = _Change(name, events=answer)
            member.call = member.actor.call("events", EVENT_SECONDS)
        except Lost as lost:
            self._lose(name, member.actor.node, lost)
            return _Change(name, lost=member.facts is not None)
        return change

    def _check_image(self, facts: HostFacts) -> None:
        self.image = self.image or facts.image
        if facts.image != self.image:
            error = UserError(
                f"its sandbox image is {facts.image}, that of other hosts {self.image}",
                fix="have the same version on all nodes, and `make image` there",
            )
            raise Lost(str(error), error)

    def _lose(self, name: str, node: Node, lost: Lost) -> None:
        member = self.members.pop(name)
        member.actor.end()
        failed = self.failures.setdefault(name, _Failures())
        busy = "in use" in str(lost)  # by another run, which will end
        failed.count = min(failed.count + 1, MOST_FAILURES - 1) if busy else failed.count + 1
        failed.again_at = time.monotonic() + RETRY_SECONDS * (failed.count - 1)
        if str(self.reasons.get(node.host)) != str(lost.told or lost):
            self.reporter.warn(f"host {node.host}: {lost}")
        self.reasons[node.host] = lost.told or str(lost)

    def close(self) -> None:
        for member in self.members.values():
            member.actor.end("close", 10.0)
        self.members.clear()


class _OnHosts:
    """The crew of a cluster. Hosts come and go while it works."""

    def __init__(self, hosts: _Hosts) -> None:
        self._hosts = hosts

    @property
    def warnings(self) -> Sequence[Mapping[str, str]]:
        return [warning for facts in self._hosts.working.values() for warning in facts.warnings]

    def annotate(self, work: Work) -> tuple[Counter[str], JudgedProblems]:
        folder = Folder(work)
        dispatch = Dispatch(folder.unfinished, folder.begun_on)
        for name, facts in self._hosts.working.items():
            self._welcome(name, facts, dispatch, work)
        seen = time.monotonic()
        progress = work.reporter.task("annotating", folder.total, done=folder.total - folder.left, unit="problems")
        with folder, progress as task:
            while not dispatch.finished:
                for name in list(self._hosts.working):
                    self._hand_out(name, dispatch, folder)
                for change in self._hosts.changes(1.0):
                    if change.opened is not None:
                        self._welcome(change.name, change.opened, dispatch, work)
                    elif change.lost:
                        dispatch.lost(change.name, folder.begun_on)
                    for event in change.events:
                        if self._take(event, change.name, dispatch, folder, work.reporter):
                            task.advance(note=folder.note)
                seen = time.monotonic() if self._hosts.working else seen
                if time.monotonic() - seen > GONE_SECONDS:
                    raise self._hosts.error()
        if dispatch.given_up:
            listing = ", ".join(dispatch.given_up)
            work.reporter.warn(f"left out, because hosts died again and again while they had them: {listing}")
        return folder.outcome()

    def _welcome(self, name: str, facts: HostFacts, dispatch: Dispatch, work: Work) -> None:
        dispatch.join(name, slots=len(facts.cores), kind=facts.fingerprint)
        note_image(work.manifest, facts.image, facts.image_id, facts.base)
        known = dict(work.manifest.stage("annotate")["facts"].get("hosts", {}))
        known[facts.fingerprint] = {"processor": facts.processor, "cores": len(facts.cores)}
        work.manifest.note("annotate", hosts=known)

    def _hand_out(self, name: str, dispatch: Dispatch, folder: Folder) -> None:
        self._hosts.add(name, [folder.work(task_id) for task_id in dispatch.take(name)])

    @staticmethod
    def _take(event: Event, name: str, dispatch: Dispatch, folder: Folder, reporter: Reporter) -> bool:
        """Write what a host tells; whether a problem is done."""
        if event.warning:
            reporter.warn(event.warning)
        elif dispatch.has(name, event.task_id):
            if event.row is None:
                dispatch.done(name, event.task_id)
                folder.forget(event.task_id)
                return True
            folder.write(event.row)
        return False


class Folder:
    """The run folder: what is there, what is left to do, and what is added. Only the driver writes it."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._executions, self._measurements = work.folder / EXECUTIONS, work.folder / MEASUREMENTS
        self._samples = work.samples.index()
        self._judged = TaskIndex(self._executions, ExecutionRow)
        self._timed = TaskIndex(self._measurements, MeasurementBlock)
        self._new: dict[str, list[ExecutionRow | MeasurementBlock]] = {}  # of problems that are being worked on
        self._counts: Counter[str] = Counter()
        self._unknown = 0
        self.begun_on: dict[str, str] = {}  # the host that a problem's last block is of, where it is not finished
        self.unfinished: list[str] = []
        self.total = 0
        for task_id in filter(work.samples.has, self._samples.task_ids):
            if task_id not in work.problems:
                self._unknown += self._samples.count(task_id)
                continue
            self.total += 1
            if not self._finished(task_id):
                self.unfinished.append(task_id)
        self.left = len(self.unfinished)

    def __enter__(self) -> Folder:
        self._stack = ExitStack()
        self._rows = self._stack.enter_context(AppendFile(self._executions))
        self._blocks = self._stack.enter_context(AppendFile(self._measurements))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def note(self) -> str:
        return f"{self._counts[Verdict.PASSED]} of {self._counts.total()} passed"

    def work(self, task_id: str) -> ProblemWork:
        """All that a host needs to go on with a problem."""
        new = self._new.setdefault(task_id, [])
        return ProblemWork(
            problem=self._work.problems[task_id],
            samples=tuple(self._samples.rows(task_id)),
            executions=(*self._judged.rows(task_id), *(row for row in new if isinstance(row, ExecutionRow))),
            blocks=(*self._timed.rows(task_id), *(row for row in new if isinstance(row, MeasurementBlock))),
        )

    def write(self, row: ExecutionRow | MeasurementBlock) -> None:
        self._new.setdefault(row.task_id, []).append(row)
        if isinstance(row, ExecutionRow):
            self._rows.append(row)
            self._counts[row.verdict] += 1
        else:
            self._blocks.append(row)
            self.begun_on[row.task_id] = row.host

    def forget(self, task_id: str) -> None:
        self._new.pop(task_id, None)
        self.begun_on.pop(task_id, None)

    def outcome(self) -> tuple[Counter[str], JudgedProblems]:
        judged = Judged(self._executions)
        verdicts = judged.verdicts
        if judged.internal:
            verdicts[Verdict.INTERNAL] = judged.internal
        if self._unknown:
            verdicts["unknown problem"] = self._unknown
            text = f"{self._unknown} samples belong to problems that are not in the data set; they were not run"
            self._work.reporter.warn(text)
        warn_of_internal(verdicts, self._work.reporter)
        work = self._work
        return verdicts, JudgedProblems(work.problems, work.samples, self._executions, work.settings)

    def _finished(self, task_id: str) -> bool:
        """Whether nothing is left to be judged or timed, on any host."""
        latest = {row.key: row for row in self._judged.rows(task_id)}
        samples = list(self._samples.rows(task_id))
        if any(one.key not in latest or latest[one.key].verdict == Verdict.INTERNAL for one in samples):
            return False
        state = passing_of(self._work.problems[task_id], samples, latest, self._work.settings)
        if state is None:
            return True
        blocks = list(self._timed.rows(task_id))
        last = current_blocks(blocks)[-1].host if blocks else ""
        state.resume(blocks, last, self._work.settings)
        if state.next_step(self._work.settings, hurry=False) is None:
            return True
        if state.blocks:
            self.begun_on[task_id] = last
        return False
