#!/usr/bin/env bash
# Everything that needs a GPU: the tests on CuPy arrays, the step beside PyTorch's (eager and as a CUDA graph; float32,
# float32 with every convolution summed directly, TF32), the tables of CPU against GPU, how cost grows, and a short
# look at the stacked digits. Run it from the root of the repository, with CuPy, pytest and hypothesis installed and,
# for the second, PyTorch; an estimate is twenty minutes in all, so parts can be asked for by name.
#
#     bash benchmarks/gpu.sh OUT                                        leaves its results as files in the folder OUT
#     bash benchmarks/gpu.sh OUT tests versus bench growth stacked      the same; or any of these
set -uo pipefail
out=${1:?expected a folder for the results, as in: bash benchmarks/gpu.sh results}
parts=${*:2}
python=${PYTHON:-python3}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
mkdir -p "$out"
"$python" -m tinygan info | tee "$out/info.txt"
grep -q "cupy: usable" "$out/info.txt" || exit 1
failed=0
for part in ${parts:-tests versus bench growth stacked}; do
    case $part in
    tests)      # a warning of some library there is no failure of ours
        # Each group in a process of its own: after one bad access a process gets nothing more right.
        rm -f "$out/tests.txt"
        for group in tests/kernels tests/kernels/test_graphs.py "tests --ignore=tests/kernels --ignore=tests/kernels/test_graphs.py"
        do
            timeout 180 "$python" -m pytest -m gpu -v --tb=short --durations=10 -W default $group 2>&1 |
                tee -a "$out/tests.txt" || failed=1
        done ;;
    versus)
        for mode in float32 direct tf32; do
            TINYGAN_KERNELS=$([ $mode = direct ] && echo direct || echo fast) \
                timeout 240 "$python" benchmarks/vs_pytorch.py --device cuda $([ $mode = tf32 ] && echo --tf32) \
                --json "$out/vs-pytorch-gpu-$mode.json" 2>&1 | tee "$out/vs-pytorch-gpu-$mode.txt" || failed=1
        done ;;
    bench)
        timeout 480 "$python" -m tinygan bench --out "$out/bench" 2>"$out/bench.log" | tee "$out/bench.txt" &&
            timeout 240 "$python" -m tinygan bench --model mlp --no-layers --out "$out/bench-mlp" 2>>"$out/bench.log" |
            tee "$out/bench-mlp.txt" ;;
    growth)
        timeout 480 "$python" benchmarks/growth.py --backend cupy --out "$out/growth-gpu" 2>&1 | tee "$out/growth-gpu.txt" ;;
    stacked)
        timeout 480 "$python" benchmarks/learning.py stacked --backend cupy --steps 500 --samples 5000 2>&1 |
            tee "$out/stacked.txt" ;;
    *)
        echo "expected tests, versus, bench, growth or stacked, got $part" >&2; false ;;
    esac || failed=1
done
exit $failed
