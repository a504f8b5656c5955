"""What was told of several runs is what was told of any of them."""

from __future__ import annotations

from un_deploy.runtime.how_it_ran import HowItRan, together


def test_one_run_of_many_is_enough() -> None:
    told = together(
        [
            HowItRan(),
            HowItRan(("a", "b"), ("unstable",), "without its CUDA graph"),
            HowItRan(("b", "c"), ("unstable", "bound by enqueue time"), types=("1 of 2",)),
            HowItRan(types=("1 of 2",)),
        ]
    )
    assert told == HowItRan(
        ("a", "b", "c"),
        ("unstable", "bound by enqueue time"),
        "without its CUDA graph",
        ("1 of 2",),
    )
    assert together([]) == HowItRan()
