"""Proven claims are found by either tensor, and of thousands only those that are asked for."""

from __future__ import annotations

import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.fold.original_tensors import Claim
from un_deploy.graph.proof.proven_claims import ProvenClaims

X, Y = ir.Value(name="x"), ir.Value(name="y")
GAUGE = Affine.identity(3)


def old(name: str) -> ir.Value:
    return ir.Value(name=name)


def test_a_tensor_that_stands_for_many_tells_those_that_are_read() -> None:
    proven = ProvenClaims()
    claims = [Claim("x"), *(Claim(f"n{i}", GAUGE) for i in range(5000))]
    for claim in claims:
        proven.add(X, claim)
    found = proven.on_leaves({X}, [old("n17")])
    assert found == {X: (claims[0], claims[1], claims[18])}
    assert proven.on_leaves({X}, []) == {X: (claims[0], claims[1])}
    assert proven.of(X, "n4") == [claims[5]] and proven.of(Y, "n4") == []


def test_leaves_are_told_apart() -> None:
    proven = ProvenClaims()
    proven.add(X, Claim("x"))
    proven.add(Y, Claim("x"))
    assert proven.tells_numbers(old("x"), {Y})
    assert not proven.tells_numbers(old("y"), {X, Y})
    assert proven.on_leaves({Y}, [old("x")]) == {Y: (Claim("x"),)}


def test_a_shape_is_no_number() -> None:
    proven = ProvenClaims()
    proven.add(X, Claim("x", shape_only=True))
    assert proven.of(X, "x") == [Claim("x", shape_only=True)]
    assert not proven.has_numbers(X) and not proven.tells_numbers(old("x"), {X})
