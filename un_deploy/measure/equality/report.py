"""What a comparison of two networks found, as data: the verdict, and how it was reached."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from un_deploy.arguments.check import checked
from un_deploy.errors import VerificationError
from un_deploy.graph.proof.proof import Problem, Proof
from un_deploy.json_form import JsonForm
from un_deploy.measure.equality.record import OF_A_FOLD, Record
from un_deploy.measure.equality.unreached import Unreached
from un_deploy.printed import Part, Printed, Words

Verdict = Literal["proven", "equal on these inputs", "cannot tell", "not equal"]

Level = Literal["proven", "equal on these inputs"]
"""What may be asked for: a proof, or no more than that no difference was seen."""

_SHOWN = 5


@dataclass(frozen=True)
class ProofFigures:
    """How much a proof covers; see `un_deploy.graph.proof.proof.Proof`."""

    operators: int
    regions: int
    constants: int
    worst: float

    @classmethod
    def of(cls, proof: Proof) -> ProofFigures:
        return cls(proof.operators, proof.regions, proof.constants, proof.worst)


@dataclass(frozen=True)
class OutputResult:
    """One output of the second graph beside the first graph's, both computed in one runtime.

    Attributes:
        runtime: its name.
        error: max |second - first| / max |first|, the worst over the inputs (integers and
            booleans: the share of entries that differ). Entries that are NaN, or the same
            infinity, in both are equal; other entries that are not finite make it infinite.
        own: the first graph's own rounding error, in the same units.
        allowed: the largest error that passes; None where the own error is so large that nothing
            can be said.
    """

    runtime: str
    output: str
    error: float
    own: float
    allowed: float | None

    @property
    def differs(self) -> bool:
        return self.allowed is not None and not self.error <= self.allowed

    @property
    def passed(self) -> bool:
        return self.allowed is not None and self.error <= self.allowed


@dataclass(frozen=True)
class VerifyReport(JsonForm, Printed):
    """The outcome of a comparison. It is true where the two networks were not seen to differ.

    Attributes:
        verdict: "proven": the two are the same graph, or one is a fold of the other, shown by
            parts for all inputs; "equal on these inputs": any other pair whose outputs agree;
            "cannot tell"; "not equal".
        reason: how the verdict was reached, or what stands against a better one.
        problems: what is wrong, or could not be told, each with its place.
        proof: what the proof covers; None where there was none.
        outputs: whole outputs in a runtime. Beside a proof they are a second look, which decides
            nothing.
        unreached: what no input reached, so that nothing is known of it.
        notes: what else a reader must know.
        runs: how many sets of inputs were run.
        record: which files it is about, when and by what version it was made; None inside the
            report of a fold, which has its own.
    """

    verdict: Verdict
    reason: str = ""
    problems: tuple[Problem, ...] = ()
    proof: ProofFigures | None = None
    outputs: tuple[OutputResult, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    notes: tuple[str, ...] = ()
    runs: int = 0
    version: int = 2
    record: Record | None = None

    @property
    def passed(self) -> bool:
        return self.verdict in ("proven", "equal on these inputs")

    def __bool__(self) -> bool:
        return self.passed

    @checked
    def require(self, level: Level = "equal on these inputs") -> None:
        """Raise if the verdict is worse than what is asked for.

        Raises:
            VerificationError: states the verdict, the first problem and its place.
        """
        if self.verdict == "proven" or (self.passed and level != "proven"):
            return
        text = f"the graphs are {self.verdict}"
        if self.verdict == "cannot tell":
            text = "whether the graphs are equal cannot be told"
        if self.passed:
            text = "the graphs are equal on these inputs, which is no proof"
        rest = len(self.problems) - 1
        more = f" (and {rest} more)" if rest > 0 else ""
        why = _sentence(self.problems[0]) if self.problems else self.reason
        raise VerificationError(f"{text}: {why}{more}")

    def json_form(self, given: dict[str, Any]) -> dict[str, Any]:
        """Whether it passed comes first; None where a number is not finite."""
        return {"passed": self.passed, **_finite(given)}

    def lines(self) -> list[str]:
        """The report in sentences, the verdict last."""
        found = [_capital(self.reason)] if self.reason else []
        if self.proof is not None and self.verdict == "proven":
            found.append(
                f"{self.proof.operators} operators are the same in both; {self.proof.constants} "
                f"rewritten constants compared in every entry; {self.proof.regions} tensors "
                f"computed by both graphs, the worst {self.proof.worst:.1g} apart."
            )
        original = (self.record.called if self.record else OF_A_FOLD).original
        wrong = {problem.place for problem in self.problems}  # which says the same of an output
        found += [
            f"Output {one.output!r} in {one.runtime}: {told(one, original)}."
            for one in self.outputs
            if not (one.differs and one.output in wrong)
        ]
        found += [f"Not reached by these inputs: {one.text}." for one in self.unreached]
        found += [f"Note: {note}." for note in self.notes]
        found += [_capital(_sentence(problem)) for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            found.append(f"... and {len(self.problems) - _SHOWN} more")
        return [*found, self.verdict]

    def told(self) -> list[Part]:
        """See `lines`."""
        *lines, verdict = self.lines()
        return [*lines, Words(verdict, "good" if self.passed else "bad")]


def told(result: OutputResult, original: str) -> str:
    """An output's figures in words.

    Args:
        original: what the first network is called.
    """
    text = f"off by {result.error:.1e} of its largest entry"
    if not math.isfinite(result.error):
        text = "of another shape, or not finite at other places"
    own = f"{original}'s own error is {result.own:.1e}"
    if result.allowed is None:
        return f"{text}; {own}, so this says nothing"
    return f"{text}; {own}, {result.allowed:.1e} is allowed"


def _sentence(problem: Problem) -> str:
    """The problem's text; one that begins with a verb begins with its place here."""
    whole = problem.text.startswith("the ") or repr(problem.place) in problem.text
    place = problem.place if problem.place.startswith("the ") else repr(problem.place)
    return problem.text if whole else f"{place} {problem.text}"


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
