#!/usr/bin/env python3
"""Holds `ingot generate` and `ingot perplexity` on a GGUF file against transformers with the same weights in float32.

    tools/compare_llama.py build/ingot MODEL.gguf TEXT.txt [--prompts 20] [--tokens 24]

Prints the perplexity of both by the same method, and for greedy continuations how many tokens agree and, where they first
differ, how far apart the reference's two best logits were: the file's int8 products may decide a near tie differently.
Needs: pip install torch transformers gguf.
"""
import argparse
import json
import math
import os
import subprocess

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("ingot")
a.add_argument("model")
a.add_argument("text")
a.add_argument("--prompts", type=int, default=20)
a.add_argument("--tokens", type=int, default=24)
a.add_argument("--context", type=int, default=512)
a.add_argument("--chunks", type=int, default=4)
o = a.parse_args()

folder, file = os.path.split(os.path.abspath(o.model))
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32).eval()
text = open(o.text, encoding="utf-8").read()
ids = tokenizer(text, add_special_tokens=False)["input_ids"]
ours = json.loads(subprocess.run([o.ingot, "perplexity", o.model, o.text, "--context", str(o.context), "--chunks", str(o.chunks), "--json"],
                                 capture_output=True, text=True, check=True).stdout)
nats = count = 0
with torch.no_grad():
    for chunk in range(o.chunks):
        part = torch.tensor([ids[chunk * o.context:(chunk + 1) * o.context]])
        logits = model(part).logits[0].log_softmax(-1)
        for i in range(o.context // 2, o.context - 1):
            nats -= logits[i, part[0, i + 1]].item()
            count += 1
print(json.dumps({"perplexity": {"ingot": ours["perplexity"], "transformers_f32": math.exp(nats / count), "tokens": count}}))

lines = [line.strip() for line in text.split("\n") if 40 < len(line.strip()) < 160]
step = max(1, len(lines) // o.prompts)
same = total = 0
for prompt in lines[::step][:o.prompts]:
    found = json.loads(subprocess.run([o.ingot, "generate", o.model, "-p", prompt, "-n", str(o.tokens), "--temperature", "0", "--json"],
                                      capture_output=True, text=True, check=True).stdout)["tokens"]
    context = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"] + found])
    with torch.no_grad():
        logits = model(context).logits[0]
    first = context.shape[1] - len(found)
    for i, token in enumerate(found):  # teacher-forced on our own tokens: each position is a judgement of its own
        row = logits[first + i - 1]
        best = row.topk(2)
        total += 1
        if best.indices[0].item() == token:
            same += 1
        else:
            print(json.dumps({"prompt": prompt[:50], "at": i, "behind_by": (best.values[0] - row[token]).item()}))
print(json.dumps({"greedy_tokens": total, "the_same": same}))
