"""A model of what disturbs timings, and measurement blocks made with it. Pure: all chance is the generator's.

Every number of draws is fixed by the sizes alone, so two noises with one seed differ only in what they make of the same
draws: that is what "a neighbour only adds" is tested with.

Sources of the presets. What a process start does (layout and hash seed together): ../shared/docs/timing.md, "the best
of 20 identical solutions looks 1.12× faster by luck"; 1.87 standard deviations for the best of 20 make that 6% on a
2-core virtual machine, and 3% if it was meant against the worst. Hash seed alone: five seeds of one microbenchmark of
CPython took 180 to 207 ms, which is 5.5% (V. Stinner, "My journey to stable benchmark, part 3", 2016). Neighbours:
docs/experiments.md, CPU time within 3% for six of eight solutions at load 5-7 on 2 cores, wall time 1.6-1.9 times as
long. That layout moves times both ways: Mytkowicz 2009, Kalibera & Jones 2013. What has no source is a guess, made so
that `shared` is a little worse than what those figures say. Our processes of one block are forked from one interpreter
and so share its layout; here each has its own, which is the worse case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.records import MeasurementBlock, SolutionTiming
from harness.timing.schedule import block_order, contaminated
from sandbox import TimingSettings

Floats = NDArray[np.float64]

REFERENCE_NS = 2e6  # CPU time of the reference workload on the quiet machine; integers: no layout, no hash effect
REFERENCE_SAMPLES = 3  # of which the warden takes the smallest
REFERENCE_PASSES = REFERENCE_SAMPLES + 2  # and the judged run and the warm-up, once a block: the one before was there
START_SECONDS = 0.006  # wall time of a process outside its samples: fork, judged run
DEFAULTS = TimingSettings()
MOST_REPEATED = 3  # samples are drawn for so many repeats, however many a rule makes
SEED = 1  # of the orders


@dataclass(frozen=True, slots=True)
class Noise:
    """Shares and standard deviations as fractions (0.03 is 3% of the run time; sd of its logarithm), times in ns.

    Both ways, once per process:
      layout_sd        memory layout, log-normal
      tail_share       share of processes whose layout effect is `tail_scale` times as large (heavy tails)
      slow_share       share of processes that fall into a slower mode (bad alignment), by the factor 1 + slow_cost
      hash_share       share of solutions that depend on the hash seed at all (sets, dicts of strings)
      hash_sd          what a block's hash seed does to one of those, log-normal, independent between solutions
    Both ways, once per block, for all that runs in it (cancels in a round's ratios):
      drift_sd         level of the machine: frequency, temperature, a neighbour that stays
      trend_sd         change of the level from a block's begin to its end
    Only adding:
      jitter           mean of what every sample has on top, exponential
      busy_share       share of samples in which a neighbour is felt (caches, the other half of a core)
      busy_cost        mean of what it adds to CPU time then, exponential
      busy_wall_share  share of those in which it takes the core itself: the sample's wall time grows by `busy_wall`
                       (mean, exponential), which the stopwatch sees and repeats the sample
      busy_process_share  share of processes in which a neighbour is felt from the first sample to the last
      steal_share      share of samples in which the hypervisor ran something else; without steal accounting the guest's
                       CPU clock counts it
      steal_ns         mean of that, exponential, whatever the sample's length
    """

    name: str
    layout_sd: float = 0.0
    tail_share: float = 0.0
    tail_scale: float = 4.0
    slow_share: float = 0.0
    slow_cost: float = 0.0
    hash_share: float = 0.5
    hash_sd: float = 0.0
    drift_sd: float = 0.0
    trend_sd: float = 0.0
    jitter: float = 0.0
    busy_share: float = 0.0
    busy_cost: float = 0.0
    busy_wall_share: float = 0.5
    busy_wall: float = 0.75
    busy_process_share: float = 0.0
    steal_share: float = 0.0
    steal_ns: float = 4e6


SILENT = Noise("silent")
QUIET = Noise(
    "quiet",
    layout_sd=0.012,
    tail_share=0.01,
    hash_sd=0.02,
    drift_sd=0.01,
    trend_sd=0.003,
    jitter=0.003,
    busy_share=0.01,
    busy_cost=0.05,
    busy_process_share=0.001,
    steal_share=0.0002,
)
SHARED = Noise(
    "shared",
    layout_sd=0.03,
    tail_share=0.02,
    hash_sd=0.04,
    drift_sd=0.02,
    trend_sd=0.01,
    jitter=0.01,
    busy_share=0.2,
    busy_cost=0.1,
    busy_process_share=0.03,
    steal_share=0.003,
)
ROUGH = Noise(
    "rough",
    layout_sd=0.05,
    tail_share=0.05,
    slow_share=0.1,
    slow_cost=0.1,
    hash_sd=0.06,
    drift_sd=0.03,
    trend_sd=0.02,
    jitter=0.02,
    busy_share=0.5,
    busy_cost=0.2,
    busy_process_share=0.06,
    steal_share=0.02,
)
PRESETS = {noise.name: noise for noise in (QUIET, SHARED, ROUGH)}

# Where the t interval's assumption is broken on purpose: two modes, equally often, so that 5 rounds may agree by luck.
TWO_MODES = {
    noise.name: noise
    for cost in (0.08, 0.12, 0.16, 0.3)
    for noise in [replace(QUIET, name=f"quiet, half the processes {cost:.0%} slower", slow_share=0.5, slow_cost=cost)]
}


@dataclass(frozen=True, slots=True)
class Program:
    """A solution as the noise sees it."""

    solution_id: str
    true_ns: float  # CPU time of one pass with no noise
    hash_sd: float
    loops: int  # passes per sample
    samples: int  # per process


def programs(
    true_ns: Sequence[float] | Mapping[str, float],
    noise: Noise,
    rng: np.random.Generator,
    timing: TimingSettings = DEFAULTS,
) -> list[Program]:
    """The solutions of a problem with what stays the same in all its blocks. Without names: s000, s001, ..."""
    named = true_ns if isinstance(true_ns, Mapping) else {f"s{i:03}": t for i, t in enumerate(true_ns)}
    sensitive = rng.random(len(named)) < noise.hash_share
    made = []
    for (name, true), hashes in zip(named.items(), sensitive, strict=True):
        loops = 1
        while true * loops < timing.min_sample_ns:
            loops *= 2
        samples = timing.long_samples if true > timing.long_pass_ns else timing.samples
        made.append(Program(name, true, noise.hash_sd if hashes else 0.0, loops, samples))
    return made


def process_effects(hash_sds: Floats, noise: Noise, rng: np.random.Generator) -> Floats:
    """ln of what each process's start does to its run time: layout, hash seed and, at times, a slower mode."""
    count = len(hash_sds)
    far = np.where(rng.random(count) < noise.tail_share, noise.tail_scale, 1.0)
    layout = rng.standard_normal(count) * noise.layout_sd * far
    slower = np.where(rng.random(count) < noise.slow_share, np.log1p(noise.slow_cost), 0.0)
    return layout + slower + rng.standard_normal(count) * hash_sds


def machine_levels(count: int, noise: Noise, rng: np.random.Generator) -> Floats:
    """ln of the machine's slowness at `count` moments of a block, from its begin to its end."""
    level, slope = rng.standard_normal() * noise.drift_sd, rng.standard_normal() * noise.trend_sd
    return level + slope * np.linspace(-0.5, 0.5, count)


def neighbour(shape: tuple[int, int], noise: Noise, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """What a neighbour adds to CPU time, and what to wall time beyond that, as shares of a sample's time, never < 0.

    A process that is disturbed as a whole has one cost for all its samples; its minimum does not get rid of that.
    """
    hit = rng.random(shape) < noise.busy_share
    cpu = np.where(hit, rng.standard_exponential(shape) * noise.busy_cost, 0.0)
    takes_core = rng.random(shape) < noise.busy_wall_share
    wall = np.where(hit & takes_core, rng.standard_exponential(shape) * noise.busy_wall, 0.0)
    whole = rng.random((shape[0], 1)) < noise.busy_process_share
    lasting = np.where(whole, rng.standard_exponential((shape[0], 1)) * noise.busy_cost, 0.0)
    return cpu + lasting, wall


def steal(shape: tuple[int, int], noise: Noise, rng: np.random.Generator) -> Floats:
    """ns that the hypervisor took from each sample, counted as its CPU time; >= 0."""
    hit = rng.random(shape) < noise.steal_share
    return np.where(hit, rng.standard_exponential(shape) * noise.steal_ns, 0.0)


def noisy_block(
    solutions: Sequence[Program],
    noise: Noise,
    rng: np.random.Generator,
    number: int = 0,
    *,
    task_id: str = "t",
    timing: TimingSettings = DEFAULTS,
    of: str = "",
) -> MeasurementBlock:
    """Round `number` with these solutions, in the annotation's order, the reference workload before and after.

    The gate compares with the reference's true time; the annotation's median of recent ones is close to that.
    """
    by_id = {one.solution_id: one for one in solutions}
    ordered = [by_id[one] for one in block_order(list(by_id), number, SEED)]
    machine = np.exp(machine_levels(len(ordered) + 2, noise, rng))
    effects = np.exp(process_effects(np.array([one.hash_sd for one in ordered]), noise, rng))
    quiet = np.array([REFERENCE_NS, *(one.true_ns * one.loops for one in ordered), REFERENCE_NS])
    quiet[1:-1] *= effects
    tries = max((one.samples for one in ordered), default=REFERENCE_SAMPLES) + MOST_REPEATED
    cpu, wall = sample_times(quiet * machine, tries, noise, rng)
    timings = [_timing(one, cpu[i], wall[i], timing) for i, one in enumerate(ordered, start=1)]
    before, after = (int(min(cpu[end, :REFERENCE_SAMPLES])) for end in (0, -1))
    # What each process does outside its kept samples: its start, the warm-up, and what was repeated.
    outside = sum(START_SECONDS + (1 + one.redone) * one.wall_ns[0] / 1e9 for one in timings)
    return MeasurementBlock(
        task_id=task_id,
        round=number,
        core=0,
        hash_seed=number + 1,  # names the round; what it does to a solution is drawn
        reference_ns=(before, after),
        contaminated=contaminated(before, after, REFERENCE_NS),
        solutions=timings,
        of=of,
        seconds=outside + (sum(sum(one.wall_ns) for one in timings) + REFERENCE_PASSES * after) / 1e9,
    )


def sample_times(quiet: Floats, tries: int, noise: Noise, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """CPU and wall time in ns of `tries` samples of each process; `quiet` is each process's time when undisturbed."""
    shape = (len(quiet), tries)
    own = quiet[:, None] * (1 + rng.standard_exponential(shape) * noise.jitter)
    cpu_share, wall_share = neighbour(shape, noise, rng)
    stolen = steal(shape, noise, rng)
    cpu = own + quiet[:, None] * cpu_share + stolen
    return cpu, cpu + quiet[:, None] * wall_share


def _timing(program: Program, cpu: Floats, wall: Floats, timing: TimingSettings) -> SolutionTiming:
    """What the stopwatch keeps of one process's samples: those that something else ran beside are repeated."""
    disturbed = wall - cpu > timing.max_gap * wall
    repeated = disturbed & (np.cumsum(disturbed) <= timing.max_redo)
    kept = np.nonzero(~repeated)[0][: program.samples]
    return SolutionTiming(
        solution_id=program.solution_id,
        loops=program.loops,
        cpu_ns=cpu[kept].astype(np.int64).tolist(),
        wall_ns=wall[kept].astype(np.int64).tolist(),
        first_ns=int(cpu[0] / program.loops),
        redone=int(kept[-1] + 1 - len(kept)),
        calls=1,
        calls_digest="same",
    )
