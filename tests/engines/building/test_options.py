"""Options as trtexec spells them."""

from __future__ import annotations

import pytest

from un_deploy.engines.building.options import (
    IoFormat,
    parse_compute_capabilities,
    parse_formats,
    parse_memory_pools,
)
from un_deploy.errors import InputError


def test_sizes_are_in_mib_unless_a_unit_is_given() -> None:
    found = parse_memory_pools("workspace:1024,tacticSharedMem:48K,dlaSRAM:0.5G,dlaLocalDRAM:7B")
    assert found == {
        "workspace": 1 << 30,
        "tacticSharedMem": 48 << 10,
        "dlaSRAM": 1 << 29,
        "dlaLocalDRAM": 7,
    }


def test_formats() -> None:
    assert parse_formats("fp16:chw,int64:chw+hwc8") == (
        IoFormat("fp16", ("chw",)),
        IoFormat("int64", ("chw", "hwc8")),
    )
    assert str(parse_formats("fp16:chw+hwc8")[0]) == "fp16:chw+hwc8"


def test_compute_capabilities() -> None:
    assert parse_compute_capabilities("80,SM86, 8.9,12.0,current") == (
        *("80", "86", "89", "120"),
        "current",
    )


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_memory_pools, "wrkspace:1G", "no pool 'wrkspace'; there are workspace"),
        (parse_memory_pools, "workspace:much", "'much' is no size"),
        (parse_memory_pools, "workspace", "'' is no size"),
        (parse_memory_pools, "workspace:-1", "'-1' is no size"),
        (parse_memory_pools, "workspace:nan", "'nan' is no size"),
        (parse_memory_pools, "workspace:1e30", "'1e30' is no size"),
        (parse_memory_pools, "workspace:1G,workspace:2G", "names workspace twice"),
        (parse_memory_pools, "", "no pool ''"),
        (parse_formats, "", "no type ''"),
        (parse_compute_capabilities, "", "'' is no compute capability"),
        (parse_formats, "fp8:chw", "no type 'fp8'"),
        (parse_formats, "fp16:nchw", "no format 'nchw'"),
        (parse_formats, "fp16", "no format ''"),
        (parse_compute_capabilities, "ampere", "'ampere' is no compute capability"),
    ],
)
def test_what_is_not_there_is_refused_by_name(parse, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(text)
