#!/usr/bin/env bash
# From a trained network to a model repository, each step a gate: what fails stops the pipeline.
#
#   SHAPES=pixel_values:8x1x28x28 examples/pipeline.sh un_deploy.models.vit:vit_micro CHECKPOINT OUT
#   SHAPES=pixel_values:8x1x28x28 UN=un.onnx LN=ln.onnx examples/pipeline.sh OUT
#
# The first exports a recipe (in a checkout models/vit.py:vit_micro, or FILE.py:factory of your own);
# the second begins with ONNX files, and needs no PyTorch.
#
# UN_DEPLOY: the command (default: un-deploy). PRECISION: of the engines, of the comparison and of
# its gates (default: fp16). LN_CHECKPOINT: weights of the LN network.
# MIN_SPEEDUP: the least speed-up over LN; without it none is asked for, since what folding gives
# depends on network and machine, and an unsteady machine, as most that run CI, shows none.
# REQUIRE_FOLDED: how many norms must fold (default: all, and no LayerNorm may be left).
# MAX_ERROR: the largest error, as a share of the output's range; without it what suits the precision
# that is compared.
# BASELINE: a report of an earlier run; a ratio that became worse beyond both intervals fails.
# SHAPES: of the plan's inputs, where they are dynamic. BATCHES, MAX_BATCH: batch sizes of the
# comparison and the server. BUILDS, ROUNDS: of the comparison (in trtexec a sample takes seconds).
set -euo pipefail

read -ra un_deploy <<< "${UN_DEPLOY:-un-deploy}"
precision=${PRECISION:-fp16}

if [[ -n ${UN:-} ]]; then
  out=${1:?usage: UN=un.onnx LN=ln.onnx pipeline.sh OUT}
  un=$UN
  ln=${LN:?give LN=ln.onnx beside UN}
  mkdir -p "$out"
else
  spec=${1:?usage: pipeline.sh SPEC CHECKPOINT OUT}
  checkpoint=${2:?usage: pipeline.sh SPEC CHECKPOINT OUT}
  out=${3:?usage: pipeline.sh SPEC CHECKPOINT OUT}
  un=$out/un.onnx
  ln=$out/ln.onnx
  mkdir -p "$out"
  # Export with UN and leave the norms in, so that the fold is a step with its own proof.
  "${un_deploy[@]}" export "$spec" -o "$un" --norm un --checkpoint "$checkpoint" --no-fold
  "${un_deploy[@]}" export "$spec" -o "$ln" --norm ln \
    ${LN_CHECKPOINT:+--checkpoint "$LN_CHECKPOINT"}
fi

"${un_deploy[@]}" fold "$un" -o "$out/folded.onnx" --require-folded "${REQUIRE_FOLDED:-all}" \
  --json > "$out/fold.json"
"${un_deploy[@]}" verify "$un" "$out/folded.onnx" --require proven

# TensorRT-RTX builds without a GPU; on a machine with TensorRT, --flavor auto takes that.
"${un_deploy[@]}" build "$out/folded.onnx" -o "$out/folded.plan" --precision "$precision" \
  ${SHAPES:+--shapes "$SHAPES"}

# What is compared: engines in the precision asked for, or graphs in fp32 where none can be run.
if runs_in=$("${un_deploy[@]}" trtexec-compare --which --quiet 2>&1); then
  echo "Comparing engines in $precision: $runs_in"
  compare=(trtexec-compare --engines --precision "$precision")
  compared=${precision/fp32/tf32} # TF32, which engines of fp32 may use, rounds as fp16 does
else
  echo "$runs_in" >&2
  echo "Comparing the graphs in ONNX Runtime on the CPU in fp32 instead: engines are built, not run."
  compare=(compare --backend ort-cpu --engines --precision "$precision")
  compared=fp32
fi
case $compared in
  fp32) max_error=1e-4 ;;
  fp16 | tf32) max_error=1e-2 ;;
  bf16) max_error=5e-2 ;;
  *) echo "PRECISION is fp32, fp16 or bf16, not $compared" >&2; exit 2 ;;
esac

"${un_deploy[@]}" "${compare[@]}" \
  --ln "$ln" --unfolded "$un" --folded "$out/folded.onnx" \
  --batches "${BATCHES:-1,8}" --max-error "${MAX_ERROR:-$max_error}" \
  ${BUILDS:+--builds "$BUILDS"} ${ROUNDS:+--rounds "$ROUNDS"} \
  ${MIN_SPEEDUP:+--min-speedup "$MIN_SPEEDUP"} \
  ${BASELINE:+--against "$BASELINE"} \
  -o "$out/compare.json"

# Triton serves the ONNX file, or a plan of standard TensorRT; one of TensorRT-RTX it cannot load.
"${un_deploy[@]}" triton "$out/folded.onnx" --repository "$out/repository" --name network \
  --max-batch-size "${MAX_BATCH:-8}"
