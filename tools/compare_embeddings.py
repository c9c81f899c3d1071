#!/usr/bin/env python3
"""Holds `ingot embed` to sentence-transformers on a model's folder.

    tools/compare_embeddings.py build/ingot FOLDER TEXT.txt [--lines 500]

Prints the largest difference of an element, the smallest cosine, and the seconds that both took. Lines longer than the model's window
are left out: sentence-transformers cuts them, Ingot reads all of them. Needs: pip install sentence-transformers.
"""
import argparse
import json
import os
import subprocess
import tempfile
import time

import numpy as np
from sentence_transformers import SentenceTransformer

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("ingot")
a.add_argument("folder")
a.add_argument("text")
a.add_argument("--lines", type=int, default=500)
o = a.parse_args()

model = SentenceTransformer(o.folder, device="cpu")
lines = [line.rstrip("\r\n") for line in open(o.text, encoding="utf-8", newline="\n")][:o.lines]
most = model.get_max_seq_length()
kept = [line for line in lines if "\r" not in line and len(model.tokenizer(line, truncation=False)["input_ids"]) <= most]
with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False, encoding="utf-8") as file:
    file.write("".join(line + "\n" for line in kept))
start = time.monotonic()
out = subprocess.run([o.ingot, "embed", o.folder, file.name, "--json"], capture_output=True, text=True, check=True).stdout
ours_s = time.monotonic() - start
os.unlink(file.name)
ours = np.array([json.loads(line) for line in out.splitlines()])
start = time.monotonic()
theirs = model.encode(kept, batch_size=32, normalize_embeddings=True)
theirs_s = time.monotonic() - start
print(json.dumps({"texts": len(kept), "left_out": len(lines) - len(kept), "largest_difference": float(np.abs(ours - theirs).max()),
                  "smallest_cosine": float((ours * theirs).sum(1).min()), "ingot_s": round(ours_s, 2), "sentence_transformers_s": round(theirs_s, 2)}))
