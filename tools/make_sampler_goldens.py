#!/usr/bin/env python3
"""Writes what transformers' logits processors make of small distributions. Needs: pip install torch transformers.

    tools/make_sampler_goldens.py tests/runtime/data/sampler.json
"""
import json
import random
import sys

import torch
from transformers.generation import logits_process as lp

random.seed(5)
torch.manual_seed(5)
cases = []
for i in range(24):
    n = 40
    logits = torch.round(torch.randn(1, n) * random.choice([1.0, 2.5, 5.0]), decimals=4)
    o = {"temperature": random.choice([0.5, 1.0, 1.7]), "top_k": random.choice([0, 0, 5, 12]), "top_p": random.choice([1.0, 0.9, 0.5]),
         "min_p": random.choice([0.0, 0.0, 0.05, 0.3]), "typical": random.choice([1.0, 1.0, 0.9, 0.4]), "repetition": random.choice([1.0, 1.3])}
    prompt = [random.randrange(n) for _ in range(6)]
    chain = []  # the order of transformers' own generate()
    if o["repetition"] != 1:
        chain.append(lp.RepetitionPenaltyLogitsProcessor(o["repetition"]))
    chain.append(lp.TemperatureLogitsWarper(o["temperature"]))
    if o["top_k"]:
        chain.append(lp.TopKLogitsWarper(o["top_k"]))
    if o["top_p"] < 1:
        chain.append(lp.TopPLogitsWarper(o["top_p"]))
    if o["min_p"]:
        chain.append(lp.MinPLogitsWarper(o["min_p"]))
    if o["typical"] < 1:
        chain.append(lp.TypicalLogitsWarper(o["typical"]))
    x = logits.clone()
    for step in chain:
        x = step(torch.tensor([prompt]), x)
    cases.append({"options": o, "prompt": prompt, "logits": [round(v, 4) for v in logits[0].tolist()], "chances": [float(f"{v:.7g}") for v in torch.softmax(x, -1)[0].tolist()]})
with open(sys.argv[1], "w") as f:
    json.dump(cases, f)
