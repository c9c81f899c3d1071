#!/usr/bin/env python3
"""Holds Ingot to llama.cpp on one GGUF file: token ids, perplexity by the same method, greedy text, and the files that Ingot writes.

    tools/compare_llama_cpp.py build/ingot LLAMA_CPP_BIN MODEL.gguf --text FILE [--context 512 --chunks 8] [--prompts 200 --tokens 24]
                               [--types all|Q8_0,Q4_K,...] [--ids]

LLAMA_CPP_BIN is the folder with llama-perplexity, llama-tokenize and llama-completion. Where greedy texts part, Ingot's own logits say how far apart its
two likeliest tokens were there: two implementations with int8 products may decide a near tie differently, and from there on the texts differ.
With --types MODEL is written in each type by `ingot quantize`, and both engines read the same file; with F32 first that says what a type loses.
"""
import argparse
import json
import os
import re
import subprocess
import tempfile

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("ingot")
a.add_argument("bin")
a.add_argument("model")
a.add_argument("--text", required=True)
a.add_argument("--context", type=int, default=512)
a.add_argument("--chunks", type=int, default=8)
a.add_argument("--prompts", type=int, default=0)
a.add_argument("--prompts-from", help="a file whose lines are continued; without it those of --text")
a.add_argument("--tokens", type=int, default=24)
a.add_argument("--types", help="types to write MODEL in, or all")
a.add_argument("--ids", action="store_true", help="compare the token ids of the whole text")
a.add_argument("--threads", type=int, default=2)
o = a.parse_args()
os.environ["INGOT_THREADS"] = str(o.threads)
ALL = "F32,F16,BF16,Q8_0,Q5_1,Q5_0,Q4_1,Q4_0,Q6_K,Q5_K,Q4_K,Q3_K,Q2_K,IQ4_NL,IQ4_XS,Q5_K_M,Q4_K_M,Q3_K_M"


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace")


def perplexities(model, **more):
    ours = json.loads(run(o.ingot, "perplexity", model, o.text, "--context", o.context, "--chunks", o.chunks, "--json").stdout)
    log = run(f"{o.bin}/llama-perplexity", "-m", model, "-f", o.text, "-c", o.context, "-b", o.context, "--chunks", o.chunks, "-t", o.threads)
    found = re.search(r"Final estimate: PPL = ([\d.]+) \+/- ([\d.]+)", log.stdout + log.stderr)
    theirs = float(found.group(1)) if found else None
    if not found:
        print((log.stdout + log.stderr)[-1500:])
    print(json.dumps({**more, "ingot": round(ours["perplexity"], 4), "llama_cpp": theirs, "tokens": ours["tokens"],
                      "difference_percent": round(100 * (ours["perplexity"] / theirs - 1), 3) if theirs else None}), flush=True)


perplexities(o.model, file="as given")

if o.ids:
    ours = list(map(int, run(o.ingot, "tokenize", "--no-special", o.model, o.text).stdout.split()))
    theirs = json.loads(run(f"{o.bin}/llama-tokenize", "-m", o.model, "-f", o.text, "--ids", "--no-bos", "--log-disable").stdout.strip().splitlines()[-1])
    part = next((i for i, (x, y) in enumerate(zip(ours, theirs)) if x != y), None)
    print(json.dumps({"ids": {"ingot": len(ours), "llama_cpp": len(theirs), "the_same": ours == theirs, "first_difference": part}}), flush=True)

for kind in (ALL if o.types == "all" else o.types or "").split(","):
    if not kind:
        continue
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, f"{kind}.gguf")
        made = run(o.ingot, "quantize", o.model, file, kind, "--json")
        if made.returncode:
            raise SystemExit(made.stderr)
        wrote = json.loads(made.stdout)
        perplexities(file, type=kind, mb=round(wrote["bytes"] / 1e6, 1), matrices_in_smaller_blocks=wrote["other_types"])

if o.prompts:
    lines = [line.strip() for line in open(o.prompts_from or o.text, encoding="utf-8") if 40 < len(line.strip()) < 160]
    stride = max(1, len(lines) // o.prompts)
    same = near = far = 0
    gaps = []
    for prompt in lines[::stride][:o.prompts]:
        mine = json.loads(run(o.ingot, "generate", o.model, "-p", prompt, "-n", o.tokens, "--temperature", 0, "--logprobs", 2, "--json").stdout)
        other = run(f"{o.bin}/llama-completion", "-m", o.model, "-p", prompt, "-n", o.tokens, "--temp", 0, "-t", o.threads, "-no-cnv", "--no-display-prompt", "--no-warmup").stdout
        other = other.replace(" [end of text]", "").rstrip("\n")
        text = mine["text"].rstrip("\n")
        if other and (text.startswith(other) or other.startswith(text) and mine["finish_reason"] == "length"):
            same += 1
            continue
        # The first token whose text goes another way, and how sure Ingot was of it.
        # A token may begin as the one of the other text does, so every step where the second likeliest would have fitted too counts.
        at, shown, gap = 0, "", None
        steps = mine.get("logprobs", [])
        while at < len(steps):
            first, second = steps[at]["top"][:2]
            fits = other.startswith(shown + steps[at]["text"])
            if not fits or other.startswith(shown + second["text"]):
                gap = min(gap if gap is not None else 1e9, first["logprob"] - second["logprob"])
            if not fits:
                break
            shown += steps[at]["text"]
            at += 1
        gaps.append(gap)
        near += gap is not None and gap < 0.3
        far += gap is None or gap >= 0.3
        print(json.dumps({"prompt": prompt[:50], "at": at, "gap": gap, "ingot": text[len(shown):][:40], "llama_cpp": other[len(shown):][:40]}), flush=True)
    print(json.dumps({"greedy_prompts": same + near + far, "the_same": same, "parted_at_a_near_tie": near, "parted_elsewhere": far}))
