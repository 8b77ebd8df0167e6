#!/usr/bin/env bash
# Everything that needs a GPU, in one call: the tests on CuPy arrays, the step beside PyTorch's (eager and as a CUDA
# graph, float32 and TF32), the tables of CPU against GPU, how cost grows, and a short look at the stacked digits. Run
# from the root of the repository, with tinygan[cuda12,test] or [cuda13,test] and, for the second, PyTorch installed.
#
#     bash benchmarks/gpu.sh OUT        leaves its results as files in the folder OUT
set -uo pipefail
out=${1:?expected a folder for the results, as in: bash benchmarks/gpu.sh results}
python=${PYTHON:-python3}
mkdir -p "$out"
"$python" -m tinygan info | tee "$out/info.txt"
"$python" -m pytest -m gpu -q 2>&1 | tee "$out/tests.txt"
for mode in float32 direct tf32; do      # direct: float32 with every convolution summed directly
    TINYGAN_KERNELS=$([ $mode = direct ] && echo direct || echo fast) \
        "$python" benchmarks/vs_pytorch.py --device cuda $([ $mode = tf32 ] && echo --tf32) \
        --json "$out/vs_pytorch-gpu-$mode.json" | tee "$out/vs_pytorch-gpu-$mode.txt"
done
"$python" -m tinygan bench --out "$out/bench" 2>"$out/bench.log" | tee "$out/bench.txt"
"$python" -m tinygan bench --model mlp --no-layers --out "$out/bench-mlp" 2>>"$out/bench.log" | tee "$out/bench-mlp.txt"
"$python" benchmarks/growth.py --backend cupy --out "$out/growth-gpu" | tee "$out/growth-gpu.txt"
"$python" benchmarks/learning.py stacked --backend cupy --steps 500 --samples 5000 | tee "$out/stacked.txt"
