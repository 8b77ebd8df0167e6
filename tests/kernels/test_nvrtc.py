"""Every CUDA source compiles with NVIDIA's own compiler, where its wheel (nvidia-cuda-nvrtc-cu12) is installed."""

import ctypes
import importlib.util
from pathlib import Path

import pytest

from tinygan.kernels import cuda
from tinygan.ops.windows import geometry


def _nvrtc():
    for place in getattr(importlib.util.find_spec("nvidia"), "submodule_search_locations", []):
        for path in Path(place).glob("*/lib/libnvrtc.so.*"):
            return ctypes.CDLL(str(path))
    pytest.skip("NVRTC's wheel is not installed")


def _compile(source, architecture):
    nvrtc, program, size = _nvrtc(), ctypes.c_void_p(), ctypes.c_size_t()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"source.cu", 0, None, None) == 0
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return status, log.value.decode()


SOURCES = {"device": cuda.source("device.cu")} | {
    f"windows of {channels}": cuda.source("windows.cu", **dict(cuda.geometry(geometry((7, 7), (5, 5), (2, 2), "same"),
                                                                             channels, channels == 64)))
    for channels in (1, 64)}


@pytest.mark.parametrize("architecture", ["compute_75", "compute_90"])
@pytest.mark.parametrize("name", SOURCES)
def test_compiles_without_a_warning(name, architecture):
    assert _compile(SOURCES[name], architecture) == (0, "")


def test_a_mistake_is_seen():
    status, log = _compile(SOURCES["device"].replace("fabsf(l)", "fabsf(m)"), "compute_90")
    assert status != 0 and "source.cu" in log
