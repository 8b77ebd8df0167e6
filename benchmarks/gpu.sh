#!/usr/bin/env bash
# Everything that needs a GPU, in parts of at most five minutes each. Run it from the root of the repository, with CuPy,
# pytest and hypothesis installed and, for the parts `versus`, PyTorch.
#
#     bash benchmarks/gpu.sh OUT                    all parts; results as files in the folder OUT and in OUT.tar.gz
#     bash benchmarks/gpu.sh OUT smoke versus       these parts
#
#     smoke            first checks: products, convolutions, steps, captured steps, streams
#     kernels, tests   the tests on CuPy arrays: those of the kernels, and all others
#     versus           the step beside PyTorch's, eager and as a CUDA graph, in float32
#     versus-direct    the same with every convolution summed directly;  versus-tf32: with TF32 products
#     bench, bench-mlp tables of CPU against GPU;  growth: how cost grows;  stacked: a short look at stacked digits
#
# Results are written as they come, and archived after each part: one that fails or takes too long loses nothing.
set -uo pipefail
out=${1:?expected a folder for the results, as in: bash benchmarks/gpu.sh results}
out=${out%/}
parts=${*:2}
python=${PYTHON:-python3}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
mkdir -p "$out"
"$python" -m tinygan info 2>&1 | tee "$out/info.txt"
grep -q "cupy: usable" "$out/info.txt" || exit 1

limited() { timeout -k 10 280 "$@"; }
archive() { tar -czf "$out.tar.gz.new" -C "$(dirname "$out")" "$(basename "$out")" && mv "$out.tar.gz.new" "$out.tar.gz"; }
# A warning of some library there is no failure of ours.
tested() { limited "$python" -m pytest -m gpu -v --tb=short --durations=10 -W default "$@"; }
versus() { limited "$python" benchmarks/vs_pytorch.py --device cuda --models dcgan mlp dcgan64 --batches 64 128 512 \
    --json "$out/vs-pytorch-gpu-$1.json" "${@:2}"; }

part() {
    case $1 in
    smoke) limited "$python" benchmarks/gpu_smoke.py "$out/smoke.jsonl" ;;
    kernels) tested tests/kernels ;;
    tests) tested tests --ignore=tests/kernels ;;
    versus) versus float32 ;;
    versus-direct) TINYGAN_KERNELS=direct versus direct ;;
    versus-tf32) versus tf32 --tf32 ;;
    bench) limited "$python" -m tinygan bench --out "$out/bench" ;;
    bench-mlp) limited "$python" -m tinygan bench --model mlp --no-layers --out "$out/bench-mlp" ;;
    growth) limited "$python" benchmarks/growth.py --backend cupy --out "$out/growth-gpu" ;;
    stacked) limited "$python" benchmarks/learning.py stacked --backend cupy --steps 500 --samples 5000 ;;
    *) echo "expected one of the parts at the head of this file, got $1" >&2; false ;;
    esac
}

failed=0
for name in ${parts:-smoke kernels tests versus versus-direct versus-tf32 bench bench-mlp growth stacked}; do
    part "$name" 2>&1 | tee "$out/$name.txt" || { echo "$name failed" | tee -a "$out/failed.txt"; failed=1; }
    archive
done
exit $failed
