"""Both half types."""

from __future__ import annotations

import pytest

from tests.graph.precision.conversion import HALF
from un_deploy.graph.precision.convert import Precision


@pytest.fixture(params=list(HALF))
def precision(request: pytest.FixtureRequest) -> Precision:
    return request.param
