#!/usr/bin/env python3
"""Training speed beside PyTorch: the same Llama shape, batch, threads and type, the better of eager and compiled.

    tools/compare_training_torch.py build/ingot [--steps 12] [--rounds 3] [--threads 2] [--no-compile] [--bf16]

--bf16: products in bf16 over f32 weights, there as PyTorch's autocast.

Rounds alternate, so that other work on the machine meets both. Needs: pip install torch transformers.
"""
import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("ingot")
for name, value in [("steps", 12), ("rounds", 3), ("threads", 2), ("layers", 6), ("width", 256), ("heads", 4), ("groups", 2), ("hidden", 704), ("vocab", 8192), ("length", 256), ("batch", 16)]:
    parser.add_argument("--" + name, type=int, default=value)
parser.add_argument("--no-compile", action="store_true")
parser.add_argument("--bf16", action="store_true")
o = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["INGOT_THREADS"] = str(o.threads)

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

torch.set_num_threads(o.threads)
folder = Path(tempfile.mkdtemp())
text = "\n".join(p.read_text(errors="replace") for p in sorted(Path("/usr/share/doc").glob("*/copyright"))[:400])[:2_000_000]
(folder / "text.txt").write_text(text)
subprocess.run([o.ingot, "tokenizer", "train", folder / "text.txt", "-o", folder / "tokenizer.json", "--vocab", str(o.vocab), "--special", "<|endoftext|>"], check=True, stdout=subprocess.DEVNULL,
               stderr=subprocess.DEVNULL)
vocab = len(json.load(open(folder / "tokenizer.json"))["model"]["vocab"])


def ours():
    run = subprocess.run([o.ingot, "pretrain", folder / "text.txt", "--tokenizer", folder / "tokenizer.json", "-o", folder / "m.gguf", "--steps", str(o.steps), "--json"] + ["--bf16"] * o.bf16 +
                         [x for key in ("layers", "width", "heads", "groups", "hidden", "length", "batch") for x in ("--" + key, str(getattr(o, key)))], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


class Theirs:
    def __init__(self, compiled):
        torch.manual_seed(1)
        self.model = LlamaForCausalLM(LlamaConfig(vocab_size=vocab, hidden_size=o.width, num_hidden_layers=o.layers, num_attention_heads=o.heads, num_key_value_heads=o.groups,
                                                  intermediate_size=o.hidden, max_position_embeddings=o.length, tie_word_embeddings=True, attn_implementation="sdpa", use_cache=False))
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=2e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
        def loss_of(ids):
            with torch.autocast("cpu", torch.bfloat16, enabled=o.bf16):
                logits = self.model(ids[:, :-1]).logits.float()
            return F.cross_entropy(logits.reshape(-1, vocab), ids[:, 1:].reshape(-1))
        self.loss_of = torch.compile(loss_of) if compiled else loss_of
        self.run(2)  # compiles

    def run(self, steps):
        start = time.perf_counter()
        for _ in range(steps):
            ids = torch.randint(0, vocab, (o.batch, o.length + 1))
            self.optimiser.zero_grad()
            self.loss_of(ids).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
        return steps * o.batch * o.length / (time.perf_counter() - start)


peers = {"eager": Theirs(False)}
if not o.no_compile:
    peers["compiled"] = Theirs(True)
rates = {"ingot": [], **{name: [] for name in peers}}
share = []
for _ in range(o.rounds):
    result = ours()
    rates["ingot"].append(result["tokens_per_s"])
    share.append(result["share_of_peak"])
    for name, peer in peers.items():
        rates[name].append(peer.run(o.steps))
best = {name: max(list_) for name, list_ in rates.items()}
other = max(best[name] for name in peers)
print(json.dumps({"parameters": result["parameters"], "tokens_a_step": o.batch * o.length, "threads": o.threads, "torch": torch.__version__, "tokens_per_s": rates, "type": "bf16" if o.bf16 else "f32", "share_of_peak": share,
                  "best": best, "ratio_to_better_torch": best["ingot"] / other, "ratios_by_round": [a / max(rates[n][i] for n in peers) for i, a in enumerate(rates["ingot"])]}, indent=1))
