#!/usr/bin/env python3
"""Writes tests/formats/data/tiny.safetensors and a sharded folder tests/formats/data/sharded (safetensors 0.8, torch)."""
import json
import pathlib

import torch
from safetensors.torch import save_file


def main():
    out = pathlib.Path(__file__).resolve().parent.parent / "tests" / "formats" / "data"
    (out / "sharded").mkdir(parents=True, exist_ok=True)
    values = torch.tensor([[1.5, -2.0, 0.25], [1e-3, 65504.0, -0.0]])
    save_file({"f32": values, "f16": values.half(), "bf16": values.bfloat16(), "ids": torch.arange(5), "scalar": torch.tensor(7.0)},
              out / "tiny.safetensors", metadata={"format": "pt"})
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    save_file({"a": values}, out / "sharded" / shards[0])
    save_file({"b": 2 * values}, out / "sharded" / shards[1])
    index = {"metadata": {"total_size": 48}, "weight_map": {"a": shards[0], "b": shards[1]}}
    (out / "sharded" / "model.safetensors.index.json").write_text(json.dumps(index))


main()
