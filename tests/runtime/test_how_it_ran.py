"""What was told of several runs is what was told of any of them."""

from __future__ import annotations

from un_deploy.runtime.how_it_ran import HowItRan, together


def test_one_run_of_many_is_enough() -> None:
    told = together(
        [
            HowItRan(),
            HowItRan(("a", "b"), ("unstable",), "without its CUDA graph"),
            HowItRan(("b", "c"), ("unstable", "bound by enqueue time")),
        ]
    )
    assert told == HowItRan(
        ("a", "b", "c"), ("unstable", "bound by enqueue time"), "without its CUDA graph"
    )
    assert together([]) == HowItRan()
