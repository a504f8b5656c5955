"""What a proof found: nothing wrong, or what is wrong and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Something that is not as the original has it, or that could not be shown to be.

    Attributes:
        place: the operator, constant, input or output.
        text: what is wrong with it, as a sentence.
        differs: it was seen to differ; else it could not be told.
    """

    place: str
    text: str
    differs: bool = True


@dataclass(frozen=True)
class Proof:
    """The outcome of `un_deploy.graph.proof.prove`; it holds where there is no problem.

    Attributes:
        problems: in the order of the graph.
        operators: how many operators are the original's, inputs, attributes and bodies alike.
        regions: how many tensors were computed by both graphs and compared.
        constants: how many constants that the fold rewrote were compared, in every entry.
        worst: the largest |old - new| of a region, as a share of its largest entry.
    """

    problems: tuple[Problem, ...] = ()
    operators: int = 0
    regions: int = 0
    constants: int = 0
    worst: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.problems
