"""Every option takes effect in the engine, or is refused by name; on real TensorRT-RTX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from un_deploy.engines.building import builder, config
from un_deploy.engines.building.builder import Built
from un_deploy.engines.building.options import BuildOptions, IoFormat
from un_deploy.engines.flavor import library
from un_deploy.engines.kernels.kernels import signatures
from un_deploy.engines.log import logger
from un_deploy.errors import InputError

Build = Callable[..., Built]


def test_no_option_builds(built: Build) -> None:
    assert built().plan == built().plan  # the same file gives the same bytes


def test_a_workspace_too_small_for_the_kernels_fails_and_names_the_option(
    built_vit: Build,
) -> None:
    enough = built_vit(memory_pools={"workspace": 1 << 30})
    assert signatures(enough.kernels) == signatures(built_vit().kernels)
    with pytest.raises(
        InputError, match=r"with memory_pools={'workspace': 1048576}: .*workspace limit"
    ):
        built_vit(memory_pools={"workspace": 1 << 20})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"builder_optimization_level": 5}, "TensorRT-RTX ignores builder_optimization_level=5"),
        ({"timing_cache": Path("cache")}, "does not take timing_cache: .*no-ops"),
        (
            {"hardware_compatibility": "ampere+"},
            r"does not take hardware_compatibility='ampere\+': .*unsupported in TensorRT-RTX",
        ),
        (
            {"memory_pools": {"dlaSRAM": 1 << 20}},
            r"does not take memory_pools={'dlaSRAM': 1048576}: .*DLA",
        ),
        ({"version_compatible": True}, r"cannot build linear.onnx with version_compatible=True: "),
        ({"strip_weights": True}, r"cannot build linear.onnx with strip_weights=True: "),
        ({"refit": True}, r"cannot build linear.onnx with refit=True: "),
        ({"compute_capabilities": ("90",)}, "not build for compute capability 90; .*80, 86, 89"),
        ({"compute_capabilities": ("75",)}, "with compute_capabilities='75': .*FP32 GEMM is not"),
        ({"input_formats": (IoFormat("fp16", ("chw",)),)}, "input_formats='fp16:chw' .*is fp32"),
        ({"input_formats": (IoFormat("fp32", ("hwc8",)),)}, "with input_formats='fp32:hwc8': "),
        ({"output_formats": (IoFormat("fp32", ("chw",)),) * 2}, "2 formats for 1 tensors"),
    ],
)
def test_what_the_flavour_does_not_do_is_refused_by_name(
    built: Build, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        built(**options)


def test_the_level_that_is_refused_has_no_effect_indeed(
    built: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(config.SILENTLY_IGNORED, "tensorrt-rtx", ())
    assert built(builder_optimization_level=0).plan == built(builder_optimization_level=5).plan


def test_engines_for_other_gpus_differ_and_one_can_serve_several(built: Build) -> None:
    ampere, blackwell = (built(compute_capabilities=(one,)).plan for one in ("80", "120"))
    both = built(compute_capabilities=("80", "120")).plan
    assert len({ampere, blackwell, both}) == 3


def test_a_layout_takes_effect(built_vit: Build) -> None:
    wide = built_vit(input_formats=(IoFormat("fp32", ("chw32",)),))
    assert built_vit().kernels[0].inputs[0].dims == (2, 1, 28, 28)
    assert wide.kernels[0].inputs[0].dims == (2, 1, 32, 28, 28)


def test_given_spells_what_is_not_at_its_default() -> None:
    assert config.as_trtexec_flags(BuildOptions()) == []
    assert config.as_trtexec_flags(BuildOptions(refit=True, memory_pools={"workspace": 5})) == [
        "--memPoolSize=workspace:5B",
        "--refit",
    ]


def test_tf32_is_set_or_cleared_in_the_builders_configuration() -> None:
    trt = library("tensorrt-rtx")
    maker = trt.Builder(logger("tensorrt-rtx"))
    for tf32 in (True, False):
        made = maker.create_builder_config()
        config.configure(made, BuildOptions(tf32=tf32), "tensorrt-rtx")
        assert made.get_flag(trt.BuilderFlag.TF32) == tf32
    assert config.as_trtexec_flags(BuildOptions(tf32=False)) == ["--noTF32"]


def test_tf32_is_allowed_by_default_as_in_tensorrt(
    built: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = built().plan
    assert built(tf32=False).plan != plan
    monkeypatch.setattr(builder, "configure", lambda *_: None)
    assert built().plan == plan  # with nothing set at all


@pytest.mark.parametrize("target", ["80", "89"])
def test_kernels_of_tensorrt_rtx_do_not_tell_whether_they_use_tf32(
    built: Build, built_vit: Build, target: str
) -> None:
    """So it is recorded and not read back; the vit has convolutions as well as products."""
    for make in (built, built_vit):
        both = [make(compute_capabilities=(target,), tf32=tf32) for tf32 in (True, False)]
        assert both[0].kernels == both[1].kernels
        assert both[0].plan != both[1].plan
