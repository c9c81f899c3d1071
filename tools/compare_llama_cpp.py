#!/usr/bin/env python3
"""Holds Ingot to llama.cpp on one GGUF file: perplexity by the same method, and greedy text.

    tools/compare_llama_cpp.py build/ingot LLAMA_CPP_BIN MODEL.gguf --text FILE [--context 512 --chunks 8] [--prompts 200 --tokens 24]

LLAMA_CPP_BIN is the folder with llama-perplexity and llama-completion. Where greedy texts part, Ingot's own logits say how far apart its two likeliest
tokens were there: two implementations with int8 products may decide a near tie differently, and from there on the texts differ.
"""
import argparse
import json
import re
import subprocess

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("ingot")
a.add_argument("bin")
a.add_argument("model")
a.add_argument("--text", required=True)
a.add_argument("--context", type=int, default=512)
a.add_argument("--chunks", type=int, default=8)
a.add_argument("--prompts", type=int, default=0)
a.add_argument("--tokens", type=int, default=24)
a.add_argument("--threads", type=int, default=2)
o = a.parse_args()


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace")


ours = json.loads(run(o.ingot, "perplexity", o.model, o.text, "--context", o.context, "--chunks", o.chunks, "--json").stdout)
log = run(f"{o.bin}/llama-perplexity", "-m", o.model, "-f", o.text, "-c", o.context, "--chunks", o.chunks, "-t", o.threads)
found = re.search(r"Final estimate: PPL = ([\d.]+) \+/- ([\d.]+)", log.stdout + log.stderr)
theirs = float(found.group(1)) if found else None
print(json.dumps({"perplexity": {"ingot": round(ours["perplexity"], 4), "llama_cpp": theirs, "tokens": ours["tokens"],
                                 "difference_percent": round(100 * (ours["perplexity"] / theirs - 1), 3) if theirs else None}}), flush=True)

if o.prompts:
    lines = [line.strip() for line in open(o.text, encoding="utf-8") if 40 < len(line.strip()) < 160]
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
        at, shown = 0, ""
        steps = mine.get("logprobs", [])
        while at < len(steps) and other.startswith(shown + steps[at]["text"]):
            shown += steps[at]["text"]
            at += 1
        gap = steps[at]["top"][0]["logprob"] - steps[at]["top"][1]["logprob"] if at < len(steps) else None
        gaps.append(gap)
        near += gap is not None and gap < 0.3
        far += gap is None or gap >= 0.3
        print(json.dumps({"prompt": prompt[:50], "at": at, "gap": gap, "ingot": text[len(shown):][:40], "llama_cpp": other[len(shown):][:40]}), flush=True)
    print(json.dumps({"greedy_prompts": same + near + far, "the_same": same, "parted_at_a_near_tie": near, "parted_elsewhere": far}))
