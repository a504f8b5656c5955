"""A report tells of each norm once, as it stood in the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.graphs import NORM, build, fold_and_prove, operators
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.site import Site
from un_deploy.graph.fold.sites.told import Told

BODY = f"r = Relu(x) {NORM.replace('x', 'r')} y = MatMul(n, w)"
MODEL = build("float[B,3,4] x => float[B,3,5] y", BODY, a=(4,), b=(4,), w=(4, 5))


@pytest.fixture
def site() -> Site:
    (found,) = GraphView(MODEL, Constants(MODEL), Shapes(MODEL)).sites
    return found


def test_of_which_one_add_is_left(site: Site) -> None:
    """The Add is a site of a later round, and no second norm."""
    told, add = Told(MODEL.graph), site.nodes[-1]
    told.shift_stays(site, add, ("Conv_7",), "why")
    told.stays(replace(site, nodes=(add,)), "another reason")
    (report,) = told.reports()
    assert (report.status, report.operators, report.into) == ("stayed", ("Mul", "Add"), ("Conv_7",))
    assert report.reason == "its scale is folded, and its shift stays as one Add (why)"


def test_whose_add_is_gone_later(site: Site) -> None:
    told, add = Told(MODEL.graph), site.nodes[-1]
    told.shift_stays(site, add, ("Conv_7",), "why")
    told.folded(replace(site, nodes=(add,)), ("MatMul_3",))
    (report,) = told.reports()
    assert (report.status, report.reason) == ("folded", "")
    assert report.into == ("Conv_7", "MatMul_3")


def test_that_became_shorter() -> None:
    """In two rounds, and to a shift alone, which is no norm any more."""
    body = "r = Sigmoid(x) m = Mul(r, a) n = Add(m, b) k = Div(n, a) l = Add(k, b) y = Sigmoid(l)"
    sign = np.float32([1, -1, 1, -1])
    model = build("float[B,3,4] x => float[B,3,4] y", body, a=sign, b=(4,))
    folded = fold_and_prove(model)
    assert operators(folded.model) == ["Sigmoid", "Add", "Sigmoid"]
    (report,) = folded.report.sites
    assert (report.status, report.operators) == ("stayed", ("Mul", "Add", "Div", "Add"))
    assert report.reason.endswith("; shortened to Add")


def test_a_padded_conv_leaves_one_add_of_a_norm() -> None:
    body = "m = Mul(x, a) n = Add(m, b) y = Conv<pads=[1,1,1,1]>(n, w)"
    constants = {"a": (4, 1, 1), "b": (4, 1, 1), "w": (5, 4, 3, 3)}
    folded = fold_and_prove(build("float[B,4,6,6] x => float[B,5,6,6] y", body, **constants))
    assert operators(folded.model) == ["Add", "Conv"]
    (report,) = folded.report.sites
    assert (report.status, report.operators, report.into) == ("stayed", ("Mul", "Add"), ("Conv_2",))
