#!/usr/bin/env python3
"""Writes tests/kernels/data/dequantize.bin and quantize.bin with the gguf package (0.19 was used; needs numpy).

Each file is a list of records: u32 GGUF type id, u32 count, `count` f32 values, u32 size, `size` bytes. Little-endian.
In dequantize.bin the values are what gguf makes of the bytes; in quantize.bin the bytes are what gguf makes of the values.
"""
import pathlib
import struct

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants
from gguf.constants import GGML_QUANT_SIZES

# Where each format keeps its half-precision scales: random bits there would make NaN and infinity.
HALVES = {Type.Q8_0: [0], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q2_K: [80, 82],
          Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.IQ4_NL: [0], Type.IQ4_XS: [0]}


def record(kind, values, data):
    values, data = values.astype("<f4").ravel(), data.tobytes()
    return struct.pack("<II", int(kind), values.size) + values.tobytes() + struct.pack("<I", len(data)) + data


def main():
    out = pathlib.Path(__file__).resolve().parent.parent / "tests" / "kernels" / "data"
    out.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(20240607)
    parts = []
    for kind, places in HALVES.items():
        length, size = GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (2 if length == 256 else 6, size), dtype=np.uint8)
        for place in places:
            halves = (random.normal(size=blocks.shape[0]) * 0.05).astype(np.float16)
            halves[-1] = np.float16(3e-7)  # a subnormal half
            blocks[:, place:place + 2] = halves.view(np.uint8).reshape(-1, 2)
        parts.append(record(kind, quants.dequantize(blocks.ravel(), kind), blocks))
    bits = random.integers(0, 1 << 16, 200, dtype=np.uint16)
    half = bits[(bits & 0x7c00) != 0x7c00]
    parts.append(record(Type.F16, half.view(np.float16).astype(np.float32), half))
    brain = bits[(bits & 0x7f80) != 0x7f80]
    parts.append(record(Type.BF16, quants.dequantize(brain.view(np.uint8), Type.BF16), brain))
    (out / "dequantize.bin").write_bytes(b"".join(parts))

    values = (random.normal(size=256) * np.exp(random.normal(size=256))).astype(np.float32)
    values[32:64] = 0
    values[64:96] *= np.float32(1e-6)
    parts = []
    for kind in (Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.BF16):
        parts.append(record(kind, values, quants.quantize(values, kind)))
    wide = np.concatenate([values, np.array([65504, 65519.9, 65520, -1e9, 5.96e-8, 2.98e-8, 6.1e-5, -0.0], np.float32)])
    with np.errstate(over="ignore"):
        parts.append(record(Type.F16, wide, wide.astype(np.float16)))
    (out / "quantize.bin").write_bytes(b"".join(parts))


main()
