"""What a version has, what replaces what it does not have, and what says how to time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.doubles.trtexec_double import FLAGS
from un_deploy.errors import InputError
from un_deploy.runtime.trtexec import flags as module
from un_deploy.runtime.trtexec.flags import (
    DEFAULTS,
    Settings,
    check_flags,
    measuring,
    settings_flags,
)


def test_the_same_settings_are_said_differently_to_10_and_11() -> None:
    said = ("--noDataTransfers", "--useSpinWait", "--useCudaGraph", "--separateProfileRun")
    assert settings_flags(DEFAULTS[11], 10) == said
    assert settings_flags(DEFAULTS[11], 11) == ()
    as_10 = replace(DEFAULTS[10], separate_profile_run=True)
    assert settings_flags(as_10, 11) == ("--includeDataTransfers", "--noSpinWait", "--noCudaGraph")
    assert settings_flags(as_10, 10) == ("--separateProfileRun",)


def test_an_unknown_version_has_no_known_defaults() -> None:
    with pytest.raises(InputError, match=r"trtexec 9 is not known: .* that of 10 and 11 is known"):
        settings_flags(Settings(), 9)


@pytest.mark.parametrize("flag", ["--fp16", "--bf16", "--int8", "--best", "--layerPrecisions=*:1"])
def test_11_has_no_precision_flags(flag: str) -> None:
    check_flags([flag], 10)
    with pytest.raises(InputError, match=r"^trtexec 11 has no --\w+: convert the ONNX file"):
        check_flags(["--verbose", flag], 11)


def test_what_10_no_longer_has_11_has_neither() -> None:
    for major in DEFAULTS:
        with pytest.raises(InputError, match=f"trtexec {major} has no --workspace: use --memPool"):
            check_flags(["--workspace=64"], major)


@pytest.mark.parametrize("major", FLAGS)
def test_tables_agree_with_the_flags_that_a_version_takes(major: int) -> None:
    gone = {flag for version, names in module._GONE.items() if version <= major for flag in names}
    assert not gone & FLAGS[major]
    assert set(module._SAYS[major].values()) <= FLAGS[major]
    assert set(module.MEASURING) <= FLAGS[major]
    if major == 11:
        assert set(module._GONE[11]) == FLAGS[10] - FLAGS[11]


@pytest.mark.parametrize(
    ("flag", "argument"),
    [
        ("--useCudaGraph", "settings.cuda_graph"),
        ("--noCudaGraph", "settings.cuda_graph"),
        ("--includeDataTransfers", "settings.transfers"),
        ("--exportTimes=a.json", "folder"),
        ("--saveEngine=a.plan", "save_engine"),
    ],
)
def test_what_the_driver_says_is_not_said_twice(flag: str, argument: str) -> None:
    with pytest.raises(InputError, match=f"is not given as a flag: use the argument {argument}"):
        check_flags([flag], 10)


def test_a_value_on_its_own_is_refused() -> None:
    with pytest.raises(InputError, match=r"^x:1x3 is no flag of trtexec: write --name or"):
        check_flags(["--shapes", "x:1x3"], 10)


def test_how_much_is_timed() -> None:
    found = measuring(["--duration=10", "--useManagedMemory", "--streams=2", "--shapes=a:1=2"])
    assert found == {
        "--warmUp": "200",
        "--duration": "10",
        "--iterations": "10",
        "--infStreams": "2",
    }
