"""Simulated timings: variants that take turns in one stream of time, on machines that misbehave.

A run is some builds of some rounds. Each build is a fresh process; in each of its rounds every
variant is timed once, one after the other. The logarithm of a time is

    log(ratio of the variant) + what this build made of this variant + the machine at that moment

and a scenario is the last term. All sizes below are shares of the time measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

BUILDS = 5
ROUNDS = 20
RUNS = 2_000
SPREADS = (0.0, 0.01)
"""Standard deviation of what a build makes of a variant: tuning choices, memory layout."""

NOISE = 0.02  # of a single sample
DRIFT = 0.30  # a process slows down by this, evenly, from its first sample to its last
STEP = 0.01  # of the random walk, from one sample to the next
MEMORY = 0.9  # of the autoregressive load: what is left of it at the next sample
LOAD = 0.05  # its standard deviation
SLOW = 0.30  # what the slow state of the switching machine costs
SWITCH = 0.05  # how probably it changes its state between two samples

Shape = tuple[int, int, int]  # runs, builds, samples in a build


def _noise(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return NOISE * rng.standard_normal(shape)


def _heavy_tails(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return NOISE * rng.standard_t(2, shape)  # its variance is infinite


def _drift(shape: Shape) -> np.ndarray:
    return np.broadcast_to(np.linspace(0, np.log1p(DRIFT), shape[-1]), shape)


def _random_walk(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """It goes on from build to build, as does all that the machine does beside the processes."""
    steps = STEP * rng.standard_normal((shape[0], shape[1] * shape[2]))
    return steps.cumsum(axis=1).reshape(shape)


def _autoregressive(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    load = rng.standard_normal((shape[0], shape[1] * shape[2]))
    for sample in range(1, load.shape[1]):
        load[:, sample] *= (1 - MEMORY**2) ** 0.5  # keeps the variance at 1
        load[:, sample] += MEMORY * load[:, sample - 1]
    return LOAD * load.reshape(shape)


def _switching(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    changes = rng.random((shape[0], shape[1] * shape[2])) < SWITCH
    changes[:, 0] = rng.random(shape[0]) < 0.5
    return np.log1p(SLOW) * (changes.cumsum(axis=1) % 2).reshape(shape)


SCENARIOS: dict[str, Callable[[np.random.Generator, Shape], np.ndarray]] = {
    "iid": _noise,
    "heavy tails": _heavy_tails,
    "drift": lambda rng, shape: _noise(rng, shape) + _drift(shape),
    "random walk": lambda rng, shape: _noise(rng, shape) + _random_walk(rng, shape),
    "autoregressive": lambda rng, shape: _noise(rng, shape) + _autoregressive(rng, shape),
    "switching": lambda rng, shape: _noise(rng, shape) + _switching(rng, shape),
    "drift, heavy tails": lambda rng, shape: _heavy_tails(rng, shape) + _drift(shape),
}


def simulate(
    scenario: str,
    *,
    spread: float,
    ratios: Sequence[float] = (1.0, 1.0),
    fixed_order: bool = False,
    runs: int = RUNS,
    builds: int = BUILDS,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> np.ndarray:
    """Times of some variants, float64, shape (variants, runs, builds, rounds), in seconds.

    Args:
        scenario: a key of `SCENARIOS`.
        spread: the standard deviation of what one build makes of one variant.
        ratios: the true time of each variant, in milliseconds.
        fixed_order: the variants are timed in the same order in every round; otherwise every
            other round goes backwards.
        seed: equal seeds give equal noise, whatever the ratios and the order.
    """
    rng = np.random.default_rng(seed)
    variants = len(ratios)
    machine = SCENARIOS[scenario](rng, (runs, builds, rounds * variants))
    machine = machine.reshape(runs, builds, rounds, variants).copy()
    if not fixed_order:
        machine[:, :, 1::2] = machine[:, :, 1::2, ::-1]
    made = spread * rng.standard_normal((runs, builds, 1, variants))
    times = 1e-3 * np.asarray(ratios) * np.exp(machine + made)
    return np.moveaxis(times, -1, 0)
