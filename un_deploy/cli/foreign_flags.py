"""Flags of trtexec and Polygraphy: taken where ours says the same, else refused with the cure.

Flags that a command has itself, such as --minShapes of build, are not in these tables.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import click

Words = Mapping[str, str]
"""By flag: what to write in its place, {} for its value and {shapes} for shapes."""

_WHICH = "say which it is: --ln, --unfolded, --folded or --none FILE"
_QUANTISE = (
    "types are decided in the graph: give an ONNX file with QuantizeLinear and DequantizeLinear"
)
_BEST = "choose --precision fp16 or bf16: no engine mixes precisions that nobody asked for"
_BUILD_FIRST = "un-deploy build makes a plan, of which this is an option"
_OF_ONE = "a run has one shape: give --shapes, or --dim NAME=SIZE"
_NO_RUN = "build runs nothing: un-deploy profile and un-deploy compare time a plan"
_ALWAYS = "engines are always timed so: leave it out"
_WORKS_SO = "this is always so: leave it out"
_PLUGINS = "plugins are not loaded: build such a network with trtexec"
_TOLERANCE = "what rounding may do is known of each operator: leave it out, or see --require proven"
_EITHER = "verify runs in whichever runtime is installed: leave it out"

_PRECISION = {"--fp16": "--precision fp16", "--bf16": "--precision bf16"}
_NO_PRECISION = {
    "--best": _BEST,
    **dict.fromkeys(("--int8", "--fp8", "--int4", "--calib", "--calibration-cache"), _QUANTISE),
}
_SHAPES = {"--input-shapes": "--shapes {shapes}"}
_MEASURING = ("--duration", "--avgRuns", "--percentile", "--infStreams", "--streams")
_HOW = ("--useCudaGraph", "--noDataTransfers", "--useSpinWait", "--separateProfileRun")
_PROFILES = ("--minShapes", "--optShapes", "--maxShapes")
_TYPED = ("--layerPrecisions", "--layerOutputTypes", "--precisionConstraints")
_BUILDING = (
    *("--memPoolSize", "--workspace", "--builderOptimizationLevel", "--timingCacheFile"),
    *("--versionCompatible", "--stripWeights", "--hardwareCompatibilityLevel", "--saveEngine"),
)

_TO_COMPARE = {
    **_PRECISION,
    **_SHAPES,
    "--trt": "--backend tensorrt",
    "--onnxrt": "--backend ort-cpu",
    "--data-loader-script": "--inputs {}:load_data",
}
_NOT_TO_COMPARE = {
    **_NO_PRECISION,
    "--onnx": _WHICH,
    "--loadEngine": _WHICH,
    **dict.fromkeys(_BUILDING, f"{_BUILD_FIRST}, and plans are compared like ONNX files"),
    **dict.fromkeys(_PROFILES, _OF_ONE),
    **dict.fromkeys(
        ("--iterations", *_MEASURING), "--rounds and --sample-ms say how much is timed"
    ),
    "--warmUp": "every build warms up: leave it out",
    **dict.fromkeys(_HOW, _ALWAYS),
    **dict.fromkeys(("--atol", "--rtol"), "--max-error E is a share of the output's range"),
    **dict.fromkeys(
        ("--exportTimes", "--exportProfile", "--exportLayerInfo"),
        "--keep-logs DIR keeps them of trtexec",
    ),
}

TRANSLATED: dict[str, Words] = {
    "build": {
        "--onnx": "{}",
        "--saveEngine": "-o {}",
        **_PRECISION,
        "--workspace": "--memPoolSize workspace:{}",
        "--pool-limit": "--memPoolSize {}",
        "--load-timing-cache": "--timingCacheFile {}",
        "--save-timing-cache": "--timingCacheFile {}",
        "--strip-plan": "--stripWeights",
        "--refittable": "--refit",
        "--trt-outputs": "--mark-output {}",
        **_SHAPES,
        "--trt-min-shapes": "--minShapes {shapes}",
        "--trt-opt-shapes": "--optShapes {shapes}",
        "--trt-max-shapes": "--maxShapes {shapes}",
    },
    "profile": {
        "--onnx": "{}",
        "--loadEngine": "{}",
        "--iterations": "--runs {}",
        "--onnxrt": "--backend ort-cpu",
        **_SHAPES,
        "--data-loader-script": "--inputs {}:load_data",
    },
    "compare": _TO_COMPARE,
    "trtexec-compare": {flag: words for flag, words in _TO_COMPARE.items() if flag != "--onnxrt"},
    "triton": {
        "--onnx": "{}",
        "--loadEngine": "{}",
        "--maxBatch": "--max-batch-size {}",
        **_SHAPES,
    },
}
"""By command: flags that mean the same as ours."""

REFUSED: dict[str, Words] = {
    "build": {
        **_NO_PRECISION,
        "--loadEngine": "a plan is built already: un-deploy profile times it",
        **dict.fromkeys(("--batch", "--maxBatch"), "give --shapes, or --dim batch=8"),
        **dict.fromkeys(_TYPED, "--keep-fp32 NAME leaves an operator in fp32"),
        **dict.fromkeys(("--skipInference", "--buildOnly", "--stronglyTyped"), _WORKS_SO),
        **dict.fromkeys(("--profilingVerbosity", "--convert-to"), _WORKS_SO),
        "--device": "CUDA_VISIBLE_DEVICES chooses the GPU",
        **dict.fromkeys(("--plugins", "--staticPlugins", "--dynamicPlugins"), _PLUGINS),
        **dict.fromkeys(("--iterations", "--warmUp", *_MEASURING, *_HOW), _NO_RUN),
        **dict.fromkeys(("--exportTimes", "--exportProfile", "--exportLayerInfo"), _NO_RUN),
        **dict.fromkeys(("--dumpProfile", "--loadInputs", "--exportOutput"), _NO_RUN),
        **dict.fromkeys(("--atol", "--rtol"), "un-deploy compare --max-error E judges answers"),
    },
    "profile": {
        **dict.fromkeys((*_PRECISION, *_NO_PRECISION, *_BUILDING), _BUILD_FIRST),
        "--trt": "un-deploy build makes a plan, which profile times",
        **dict.fromkeys(_PROFILES, _OF_ONE),
        "--warmUp": "trtexec counts milliseconds there: --warm-up N counts runs",
        **dict.fromkeys(_MEASURING, "--runs N says how much is timed"),
        **dict.fromkeys(
            (*_HOW, "--dumpProfile"), "layers are always timed one by one: leave it out"
        ),
        "--loadInputs": "give --inputs data.npz",
        **dict.fromkeys(("--atol", "--rtol"), "un-deploy compare --max-error E judges answers"),
    },
    "compare": _NOT_TO_COMPARE,
    "trtexec-compare": {
        **_NOT_TO_COMPARE,
        "--onnxrt": "un-deploy compare --backend ort-cpu runs in ONNX Runtime",
    },
    "triton": {
        **dict.fromkeys(
            _PRECISION, "serve a plan of un-deploy build, or give --accelerator tensorrt:fp16"
        ),
        **dict.fromkeys(_PROFILES, "a plan has its profiles from un-deploy build"),
        "--batch": "give --max-batch-size N",
    },
    "verify": {
        **dict.fromkeys(("--atol", "--rtol", "--check-error-stat"), _TOLERANCE),
        **dict.fromkeys(("--onnxrt", "--trt"), _EITHER),
        "--input-shapes": "verify tries several sizes: leave it out, or give --inputs data.npz",
        "--data-loader-script": "give --inputs FILE.py:load_data",
    },
}
"""By command: what to do instead of a flag."""


def translated(command: str, words: list[str], own: Collection[str]) -> list[str]:
    """A command line in our options.

    Args:
        words: behind the command's name.
        own: options of the command, which are left as they are.

    Raises:
        click.UsageError: a flag is refused; names the cure.
    """
    ours, refused = TRANSLATED.get(command, {}), REFUSED.get(command, {})
    found: list[str] = []
    said: dict[str, str] = {}
    rest = list(words)
    while rest and rest[0] != "--":
        word = rest.pop(0)
        flag, given, value = word.partition("=")
        if flag in own or not flag.startswith("--"):
            found.append(word)
        elif flag in refused:
            raise click.UsageError(f"un-deploy {command} takes no {flag}: {refused[flag]}")
        elif flag in ours:
            option, *values = ours[flag].split()
            if option.startswith("--") and said.setdefault(option, flag) != flag:
                raise click.UsageError(f"{said[option]} and {flag} exclude each other ({option})")
            if "{" in ours[flag] and not given:
                value = _values(rest, flag)
            found += [one.format(value, shapes=_shapes(value)) for one in (option, *values)]
        elif others := [name for name, table in TRANSLATED.items() if flag in table]:
            raise click.UsageError(
                f"un-deploy {command} takes no {flag}: that is of un-deploy {' and '.join(others)}"
            )
        else:
            found.append(word)
    return [*found, *rest]


def _values(rest: list[str], flag: str) -> str:
    """The next word; of shapes, which Polygraphy takes in several words, all of them."""
    if not rest:
        raise click.UsageError(f"{flag} needs a value")
    values = [rest.pop(0)]
    while rest and re.search(r":\[[\d, x]*\]$", values[0]) and re.search(r":\[", rest[0]):
        values.append(rest.pop(0))
    return ",".join(values)


def _shapes(text: str) -> str:
    """Polygraphy's ``x:[1,3],y:[2]`` as ``x:1x3,y:2``."""

    def sizes(found: re.Match[str]) -> str:
        return f":{re.sub('[ ,]+', 'x', found[1].strip())}"

    return re.sub(r":\[([\d, x]*)\]", sizes, text)
