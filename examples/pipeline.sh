#!/usr/bin/env bash
# From a trained network to a model repository, each step a gate: what fails stops the pipeline.
#
#   examples/pipeline.sh models/vit.py:vit_micro CHECKPOINT OUT
#
# UN_DEPLOY: the command (default: un-deploy). PRECISION: of the engine (default: fp16).
# MIN_SPEEDUP, MAX_ERROR: the gates of the comparison. LN_CHECKPOINT: weights of the LN network.
# BASELINE: a report of an earlier run; a ratio that became worse beyond both intervals fails.
set -euo pipefail

spec=$1
checkpoint=$2
out=$3
read -ra un_deploy <<< "${UN_DEPLOY:-un-deploy}"
precision=${PRECISION:-fp16}
mkdir -p "$out"

# Export with UN and leave the norms in, so that the fold is a step of its own with its own proof.
"${un_deploy[@]}" export "$spec" -o "$out/un.onnx" --norm un --checkpoint "$checkpoint" --no-fold
"${un_deploy[@]}" export "$spec" -o "$out/ln.onnx" --norm ln \
  ${LN_CHECKPOINT:+--checkpoint "$LN_CHECKPOINT"}

"${un_deploy[@]}" fold "$out/un.onnx" -o "$out/folded.onnx" --json > "$out/fold.json"
"${un_deploy[@]}" verify "$out/un.onnx" "$out/folded.onnx"

# TensorRT-RTX builds without a GPU; on a machine with TensorRT, --flavor auto takes that.
"${un_deploy[@]}" build "$out/folded.onnx" -o "$out/folded.plan" --precision "$precision" \
  ${SHAPES:+--shapes "$SHAPES"}

"${un_deploy[@]}" trtexec-compare \
  --ln "$out/ln.onnx" --unfolded "$out/un.onnx" --folded "$out/folded.onnx" \
  --batches "${BATCHES:-1,8}" --engines --precision "$precision" \
  --min-speedup "${MIN_SPEEDUP:-1.0}" --max-error "${MAX_ERROR:-1e-4}" \
  ${BASELINE:+--against "$BASELINE"} \
  -o "$out/compare.json"

# Triton serves the ONNX file, or a plan of standard TensorRT; one of TensorRT-RTX it cannot load.
"${un_deploy[@]}" triton "$out/folded.onnx" --repository "$out/repository" --name network \
  --max-batch-size "${MAX_BATCH:-8}"
