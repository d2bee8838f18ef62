# SPDX-License-Identifier: Apache-2.0
"""The program's own C kernels for motion, compiled into a shared library and called through ctypes.

The library is made on first use, in VIDENHANCE_LAB_BUILD (else a folder of the temporary folder), by clang, gcc or cc.
VIDENHANCE_LAB_KERNELS names a library that was made elsewhere: `python3 kernels.py OUT.so` makes one.
"""
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SOURCES = Path(__file__).resolve().parents[2] / "Sources" / "CQuantKernels"
BLOCK = 8
NEIGHBOUR_CHANNELS = 38
LEVELS = 4

# What cpu.c does for the whole program, for motion alone.
TABLE = """
#include "kernels.h"
#define JOBS(isa) {.motion_search = ve_motion_search_##isa, .motion_neighbour = ve_motion_neighbour_##isa, \\
  .interp_search = ve_interp_search_##isa, .interp_refine = ve_interp_refine_##isa, .interp_warp = ve_interp_warp_##isa}
static const ve_kernels scalar = JOBS(scalar);
#ifdef __x86_64__
static const ve_kernels avx2 = JOBS(avx2);
#endif
const ve_kernels *ve_kernels_for(ve_isa isa) {
#ifdef __x86_64__
  if (isa != VE_ISA_SCALAR && __builtin_cpu_supports("avx2")) return &avx2;
#endif
  return &scalar;
}
"""
COMMON = [
    "border", "motion", "motion_search", "motion_neighbour", "interpolation", "interpolation_search", "interpolation_warp"]
VECTOR = ["motion_search_avx2", "motion_neighbour_avx2", "interpolation_search_avx2", "interpolation_warp_avx2"]


def build(result, compiler=None):
    """Compiles the library `result`. Whether gcc or clang, results are the same: nothing is fused."""
    compiler = compiler or next((c for c in ("clang", "gcc", "cc") if shutil.which(c)), None)
    if compiler is None:
        raise SystemExit("kernels.py: no clang, gcc or cc; make the library elsewhere and set VIDENHANCE_LAB_KERNELS")
    flags = ["-O3", "-std=gnu11", "-fPIC", "-ffp-contract=off", "-w", "-I", str(SOURCES), "-I", str(SOURCES / "include")]
    jobs = [(SOURCES / f"{name}.c", []) for name in COMMON]
    if platform.machine() == "x86_64":
        # clang takes the instruction set from the pragma in the file, gcc from here.
        jobs += [(SOURCES / "x86" / f"{name}.c", ["-mavx2"]) for name in VECTOR]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.c"
        table.write_text(TABLE)
        objects = []
        for index, (source, more) in enumerate(jobs + [(table, [])]):
            objects.append(f"{folder}/{index}.o")
            subprocess.run([compiler, *flags, *more, "-c", str(source), "-o", objects[-1]], check=True)
        part = f"{result}.{os.getpid()}.part"
        subprocess.run([compiler, "-shared", *objects, "-o", part, "-lm"], check=True)
        os.replace(part, result)


class MotionPlane(ctypes.Structure):
    _fields_ = [("width", ctypes.c_int32), ("height", ctypes.c_int32), ("stride", ctypes.c_ssize_t),
                ("coarse_stride", ctypes.c_ssize_t), ("coarse_width", ctypes.c_int32),
                ("coarse_height", ctypes.c_int32), ("luma", ctypes.c_void_p), ("smooth", ctypes.c_void_p),
                ("coarse", ctypes.c_void_p)]


class InterpPlane(ctypes.Structure):
    _fields_ = [("width", ctypes.c_int32 * LEVELS), ("height", ctypes.c_int32 * LEVELS),
                ("stride", ctypes.c_ssize_t * LEVELS), ("luma", ctypes.c_void_p * LEVELS)]


class InterpSource(ctypes.Structure):
    _fields_ = [("samples", ctypes.c_void_p), ("stride", ctypes.c_ssize_t), ("width", ctypes.c_int32),
                ("height", ctypes.c_int32), ("log2_x", ctypes.c_int32), ("log2_y", ctypes.c_int32),
                ("depth", ctypes.c_int32), ("is_wide", ctypes.c_int32)]


# ve_interp_vector.
INTERP_VECTOR = np.dtype([("x", np.int16), ("y", np.int16), ("error", np.uint16), ("disorder", np.uint16)])
FAST = 1  # any but VE_ISA_SCALAR: the fastest that the table has


@functools.cache
def library():
    """The loaded library; compiled first where it is older than its sources."""
    path = os.environ.get("VIDENHANCE_LAB_KERNELS")
    if not path:
        digest = hashlib.sha256(TABLE.encode())
        for source in sorted(SOURCES.rglob("*.[ch]")):
            digest.update(source.read_bytes())
        folder = Path(os.environ.get("VIDENHANCE_LAB_BUILD") or Path(tempfile.gettempdir()) / "videnhance-lab")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"kernels-{digest.hexdigest()[:16]}.so"
        if not path.exists():
            build(path)
    lib = ctypes.CDLL(str(path))
    integer, pointer, size = ctypes.c_int32, ctypes.c_void_p, ctypes.c_ssize_t
    for name, result, arguments in [
        ("ve_motion_plane_bytes", ctypes.c_size_t, [integer, integer]),
        ("ve_motion_plane_prepare", MotionPlane, [pointer, integer, integer, pointer]),
        ("ve_motion_search", None, [pointer, pointer, pointer, integer, pointer, integer]),
        ("ve_motion_neighbour", None, [pointer] * 5 + [size, size, integer, integer, integer]),
        ("ve_interp_plane_bytes", ctypes.c_size_t, [integer, integer]),
        ("ve_interp_plane_prepare", InterpPlane, [pointer, integer, integer, pointer]),
        ("ve_interp_search", ctypes.c_int, [pointer, pointer, integer, pointer, integer]),
        ("ve_interp_refine", None, [pointer, pointer, integer, pointer, integer, integer, integer]),
        ("ve_interp_disorder", None, [pointer, integer, integer]),
        ("ve_interp_warp", None, [pointer, integer, integer, pointer, integer, integer, pointer, size, integer,
                                  integer, integer]),
    ]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def _aligned(count):
    memory = np.empty(count + 64, np.uint8)
    return memory[-memory.ctypes.data % 64:][:count]


def blocks(extent):
    return (extent + BLOCK - 1) // BLOCK


def motion_plane(luma):
    """(plane, its memory) for the search; `luma` is [H, W] uint8 without gaps."""
    lib = library()
    height, width = luma.shape
    memory = _aligned(lib.ve_motion_plane_bytes(width, height))
    plane = lib.ve_motion_plane_prepare(luma.ctypes.data, width, height, memory.ctypes.data)
    return plane, memory


def motion(reference, neighbour, prior=None, prior_factor=1, isa=FAST):
    """Vectors (opaque, 8 bytes each) of every block of `reference` into `neighbour`."""
    found = np.empty(blocks(reference[0].width) * blocks(reference[0].height), np.uint64)
    library().ve_motion_search(
        ctypes.byref(reference[0]), ctypes.byref(neighbour[0]), None if prior is None else prior.ctypes.data,
        prior_factor if prior is not None else 1, found.ctypes.data, isa)
    return found


def write_neighbour(reference, neighbour, chroma, vectors, result, isa=FAST):
    """Fills channels 0 ..< 38 of `result` [H / 2, W / 2, channels], uint8 with contiguous rows of points."""
    planes = (ctypes.c_void_p * 2)(chroma[0].ctypes.data, chroma[1].ctypes.data)
    library().ve_motion_neighbour(
        ctypes.byref(reference[0]), ctypes.byref(neighbour[0]), planes, vectors.ctypes.data, result.ctypes.data,
        result.strides[1], result.strides[0], 0, result.shape[0], isa)


def warped(first, second, instant, isa=FAST):
    """Both frames (Y, U, V planes) warped to an instant, 1 ... 255; and the vectors, INTERP_VECTOR [rows, columns]."""
    lib = library()
    height, width = first[0].shape
    pyramids = []
    for frame in (first, second):
        memory = _aligned(lib.ve_interp_plane_bytes(width, height))
        pyramids.append((lib.ve_interp_plane_prepare(frame[0].ctypes.data, width, height, memory.ctypes.data), memory))
    a, b = (ctypes.byref(pyramid) for pyramid, _ in pyramids)
    vectors = np.zeros((blocks(height), blocks(width)), INTERP_VECTOR)
    if lib.ve_interp_search(a, b, instant, vectors.ctypes.data, isa) != 0:
        raise MemoryError("search of motion")
    lib.ve_interp_refine(a, b, instant, vectors.ctypes.data, 0, vectors.shape[0], isa)
    lib.ve_interp_disorder(vectors.ctypes.data, vectors.shape[1], vectors.shape[0])
    results = []
    for slot, frame in enumerate((first, second)):
        planes = []
        for index, plane in enumerate(frame):
            half = int(index > 0)
            source = InterpSource(plane.ctypes.data, plane.shape[1], plane.shape[1], plane.shape[0], half, half, 8, 0)
            to = np.empty_like(plane)
            lib.ve_interp_warp(ctypes.byref(source), width, height, vectors.ctypes.data, instant, slot,
                               to.ctypes.data, to.shape[1], 0, to.shape[0], isa)
            planes.append(to)
        results.append(planes)
    return results, vectors


if __name__ == "__main__":
    build(*sys.argv[1:3])
