"""Stands in for NVIDIA's trtexec: takes the flags of a version, writes the files of that version.

It knows nothing of un_deploy, so that the two cannot agree in an error, and needs nothing but
Python. Flags and forms are those of NVIDIA's samples/common/sampleOptions.cpp,
sampleReporting.cpp and logging.h of 10 and 11; like them it prints names into JSON as they are,
numbers as C++ does, and refuses a flag that it does not have or that comes twice.

    TRTEXEC_DOUBLE_VERSION=101602 TRTEXEC_DOUBLE_MODE=crash python trtexec_double.py --onnx=a.onnx
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

VERSION = int(os.environ.get("TRTEXEC_DOUBLE_VERSION", "101602"))
MODE = os.environ.get("TRTEXEC_DOUBLE_MODE", "pass")
MAJOR = VERSION // 10_000

COMMON = """
    onnx loadEngine saveEngine minShapes optShapes maxShapes shapes inputIOFormats outputIOFormats
    profile memPoolSize avgTiming refit stripWeights stripAllWeights vc versionCompatible pi
    pluginInstanceNorm excludeLeanRuntime noCompilationCache monitorMemory noTF32 stronglyTyped
    safe buildDLAStandalone allowGPUFallback consistency skipInference directIO layerDeviceTypes
    decomposableAttentions markDebug markUnfusedTensorsAsDebugTensors sparsity profilingVerbosity
    asyncFileReader getPlanVersionOnly tacticSources noBuilderCache timingCacheFile
    errorOnTimingCacheMiss builderOptimizationLevel maxTactics runtimePlatform
    hardwareCompatibilityLevel maxAuxStreams preview tempdir tempfileControls useRuntime
    leanDLLPath allowWeightStreaming tilingOptimizationLevel l2LimitForTiling device useDLACore
    plugins staticPlugins setPluginsToSerialize dynamicPlugins ignoreParsedPluginLibs streams
    infStreams iterations duration warmUp sleepTime idleTime exposeDMA noDataTransfers
    useManagedMemory useSpinWait threads useCudaGraph separateProfileRun timeDeserialize timeRefit
    persistentCacheRatio loadInputs useProfile allocationStrategy weightStreamingBudget
    saveDebugTensors saveAllDebugTensors refitFromOnnx avgRuns verbose dumpRefit dumpOutput
    dumpRawBindingsToFile dumpProfile dumpLayerInfo dumpOptimizationProfile exportTimes
    exportOutput exportProfile exportLayerInfo percentile help
"""
ONLY = {
    10: """
    fp16 bf16 int8 fp8 int4 best weightless restricted precisionConstraints layerPrecisions
    layerOutputTypes calib calibProfile minShapesCalib optShapesCalib maxShapesCalib
    """,
    11: "includeDataTransfers noSpinWait noCudaGraph cpuOnly reportCapabilityDLA",
}
FLAGS = {
    major: {f"--{name}" for name in f"{COMMON} {only}".split()} for major, only in ONLY.items()
}

NAMES = [
    "{ForeignNode[/blocks.0/attn/MatMul.../blocks.0/mlp/Add]}",
    'says "quoted", twice',
    "é ends with a backslash\\",
    "Reformatting CopyNode, } { ,",
    "Reformatting CopyNode, } { ,",
]
"""The layers of every engine; two have the same name."""


def say(text: str, level: str = "I") -> None:
    print(f"[01/31/2026-10:00:00] [{level}] {text}", flush=True)


def verdict(word: str) -> None:
    command = " ".join(["trtexec", *sys.argv[1:]])
    print(f"&&&& {word} TensorRT.trtexec [TensorRT v{VERSION}] [b10] # {command}", flush=True)


def write_times(path: str, transfers: bool, runs: int, warm_up_ms: float) -> None:
    lines = []
    for run in range(runs):
        h2d, compute, d2h = (
            (0.05, 0.5 + run / 1024, 0.025) if transfers else (0, 0.5 + run / 1024, 0)
        )
        begin = warm_up_ms + run
        start, end = begin + h2d, begin + h2d + compute
        values = {
            "startEnqMs": begin, "endEnqMs": begin + 0.01, "startH2dMs": begin, "endH2dMs": start,
            "startComputeMs": start, "endComputeMs": end, "startD2hMs": end, "endD2hMs": end + d2h,
            "h2dMs": h2d, "computeMs": compute, "d2hMs": d2h, "latencyMs": h2d + compute + d2h,
        }  # fmt: skip
        lines.append(
            "{ " + ", ".join(f'"{key}" : {value:g}' for key, value in values.items()) + " }"
        )
    write(path, "[\n  " + "\n, ".join(lines) + "\n]\n")


def write_profile(path: str) -> None:
    text = '[\n  { "count" : 40 }\n'
    for number, name in enumerate(NAMES):
        total = 4 * (number + 1)
        text += f', {{ "name" : "{name}", "timeMs" : {total:g}, "averageMs" : {total / 40:g}'
        text += f', "medianMs" : {total / 50:g}, "percentage" : {total / 0.6:g} }}\n'
    text += ', { "name" : "never runs", "timeMs" : 0, "averageMs" : -nan, "medianMs" : 0'
    write(path, text + ', "percentage" : 0 }\n]\n')


def write_layers(path: str, detailed: bool) -> None:
    def tensor(name: str) -> dict:
        if MAJOR < 11:
            kind = {"Format/Datatype": "Row major linear FP16 format"}
        else:
            kind = {"Format": "Row major linear (kLINEAR)", "Datatype": "Half"}
        return {"Name": name, "Location": "Device", "Dimensions": [1, 197, 384], **kind}

    layers: list = NAMES
    if detailed:
        layers = [
            {
                "Name": name,
                "LayerType": "gemm",
                "Inputs": [tensor("x")],
                "Outputs": [tensor("y")],
                "TacticName": "sm80_xmma_gemm_f16f16",
                "StreamId": 0,
                "Metadata": "[ONNX Layer: /fc/MatMul]\x1f[ONNX Layer: /fc/Add[1]]",
            }
            for name in NAMES
        ]
    told: dict = {"Layers": layers}
    if MAJOR < 11:
        told["Bindings"] = ["x", "y"]
    else:
        told["I/O Tensors"] = [
            {"Name": "x", "IOMode": "Input", "DataType": "Float", "Dimensions": [-1, 197, 384]},
            {"Name": "y", "IOMode": "Output", "DataType": "Float", "Dimensions": [-1, 10]},
        ]
    # The inspector leaves separators in strings as they are.
    write(path, json.dumps(told).replace("\\u001f", "\x1f"))


def write(path: str, text: str) -> None:
    if MODE == "no-files":
        return
    encoding = "latin-1" if MODE == "latin-1" else "utf-8"
    Path(path).write_text(text[: len(text) // 2] if MODE == "cut" else text, encoding)


def hang() -> None:
    """Never end, nor its child, while a lock tells that one of them is there."""
    with Path(os.environ["TRTEXEC_DOUBLE_LOCK"]).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fork():
            lock.write("locked")
            lock.flush()
        time.sleep(600)


def main() -> int:
    given = sys.argv[1:]
    if MODE == "no-library":
        print("trtexec: error while loading shared libraries: libnvinfer.so.10", flush=True)
        return 127
    if MODE == "garbage":
        sys.stdout.buffer.write(bytes(range(256)) * 4)
        return 0
    verdict("RUNNING")
    if "--help" in given:
        print("=== Model Options ===\n  --onnx=<file>               ONNX model")
        return 0
    flags = dict(flag.partition("=")[::2] for flag in given)
    unknown = [flag for flag in flags if flag not in FLAGS[MAJOR]]
    if unknown or len(flags) < len(given):
        for flag in unknown or given:
            say(f"Unknown option: {flag}", "E")
        verdict("FAILED")
        return 1
    ten = MAJOR < 11
    transfers = "--noDataTransfers" not in flags if ten else "--includeDataTransfers" in flags
    spin_wait = "--useSpinWait" in flags if ten else "--noSpinWait" not in flags
    graph = "--useCudaGraph" in flags if ten else "--noCudaGraph" not in flags
    separate = "--separateProfileRun" in flags or not ten
    say(f"Data transfers: {transfers}, spin-wait: {spin_wait}, CUDA graph: {graph}")
    if MODE == "no-graph" and graph:
        say("The specified --useCudaGraph flag has been ignored.", "W")
    if MODE == "doubts":
        say("* GPU compute time is unstable, with coefficient of variance = 23.1%.", "W")
        say("* Throughput may be bound by Enqueue Time rather than GPU Compute.", "W")
    if MODE == "hang":
        hang()
    if MODE == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if MODE == "fail":
        say("[TRT] ModelImporter.cpp:125: No importer registered for op: Huh", "E")
        say("Engine set up failed", "E")
        verdict("FAILED")
        return 1
    if "--saveEngine" in flags and MODE != "no-files":
        Path(flags["--saveEngine"]).write_bytes(b"ftrt plan")
    if "--exportLayerInfo" in flags and MODE != "no-layers":
        write_layers(flags["--exportLayerInfo"], flags.get("--profilingVerbosity") == "detailed")
    if "--skipInference" not in flags:
        profiled = "--exportProfile" in flags or "--dumpProfile" in flags
        if "--exportTimes" in flags and (separate or not profiled):
            runs = int(flags.get("--iterations", "10"))
            write_times(
                flags["--exportTimes"], transfers, runs, float(flags.get("--warmUp", "200"))
            )
        if "--exportProfile" in flags:
            write_profile(flags["--exportProfile"])
    if MODE == "silent":
        return 0
    verdict("WAIVED" if MODE == "waive" else "PASSED")
    return 1 if MODE == "passed-but-1" else 0


if __name__ == "__main__":
    sys.exit(main())
