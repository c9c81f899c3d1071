#!/usr/bin/env python3
"""Writes the goldens of tests/train with PyTorch, transformers and peft. Needs: pip install torch transformers peft gguf numpy.

    tools/make_tuning_goldens.py tests/train/data

lora_tiny.gguf: a small Llama in F32, the batch, losses of ten AdamW steps, gradients of the first. adapter/: peft's own files before
the first step; after.safetensors: its weights after the tenth. logits of the trained adapter stand in the GGUF too.
"""
import shutil
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).parent))
from make_engine_goldens import gguf_names, write  # noqa: E402

torch.manual_seed(23)
out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
heads, groups, vocab = 4, 2, 48
config = LlamaConfig(vocab_size=vocab, hidden_size=64, num_hidden_layers=2, num_attention_heads=heads, num_key_value_heads=groups, intermediate_size=96,
                     max_position_embeddings=256, rms_norm_eps=1e-5, tie_word_embeddings=True, initializer_range=0.2)
base = LlamaForCausalLM(config)
tensors = gguf_names(base.named_parameters(), heads, groups)
model = get_peft_model(base, LoraConfig(r=4, lora_alpha=12, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
                                        task_type="CAUSAL_LM"))
for name, p in model.named_parameters():  # a B of zeros would leave every gradient of A zero
    if "lora_B" in name:
        torch.nn.init.normal_(p, std=0.05)
shutil.rmtree(out / "adapter", ignore_errors=True)
model.save_pretrained(out / "adapter")
(out / "adapter" / "README.md").unlink(missing_ok=True)

lengths = [70, 9, 33]  # samples of a batch
ids = [torch.randint(0, vocab, (n + 1,)) for n in lengths]
scored = [torch.rand(n) < 0.4 for n in lengths]
for s in scored:
    s[-1] = True
targets = [torch.where(s, x[1:], -100) for x, s in zip(ids, scored)]


def loss_now():
    total = sum(F.cross_entropy(model(x[None, :-1]).logits[0], t, ignore_index=-100, reduction="sum") for x, t in zip(ids, targets))
    return total / sum(int(s.sum()) for s in scored)


extra = {"golden.lengths": torch.tensor(lengths).float(), "golden.ids": torch.cat([x[:-1] for x in ids]).float(), "golden.targets": torch.cat(targets).float()}
trained = [p for p in model.parameters() if p.requires_grad]
optimiser = torch.optim.AdamW(trained, lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
losses, gradients = [], {}
for step in range(10):
    optimiser.zero_grad()
    loss = loss_now()
    loss.backward()
    if step == 0:
        gradients = {n.replace(".default", ""): p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimiser.step()
    losses.append(loss.item())
extra["golden.losses"] = torch.tensor(losses)
extra["golden.logits"] = torch.cat([model(x[None, :-1]).logits[0] for x in ids])
save_file({k: v.contiguous() for k, v in gradients.items()}, out / "gradients.safetensors")
save_file({k: v.contiguous() for k, v in get_peft_model_state_dict(model).items()}, out / "after.safetensors")

# Distillation's loss and gradient on the head alone.
x = torch.randn(6, 64, requires_grad=True)
w = torch.randn(vocab, 64, requires_grad=True)
labels = torch.tensor([1, 5, -100, 30, 2, 7])
k, temperature, soft = 8, 2.0, 0.7
top = torch.topk(torch.randn(6, vocab) * 3, k)
logits = F.linear(x, w)
keep = labels >= 0
p = F.softmax(top.values / temperature, -1)
log_q = F.log_softmax(logits / temperature, -1).gather(1, top.indices)
kl = (p * (p.log() - log_q)).sum(-1)[keep].mean()
mix = (1 - soft) * F.cross_entropy(logits, labels) + soft * temperature**2 * kl
mix.backward()
extra |= {"distil.x": x, "distil.w": w, "distil.labels": labels.float(), "distil.tokens": top.indices.float(), "distil.logits": top.values,
          "distil.loss": mix.reshape(1), "distil.dx": x.grad, "distil.dw": w.grad}
fields = [("llama.embedding_length", 64), ("llama.block_count", 2), ("llama.attention.head_count", heads), ("llama.attention.head_count_kv", groups),
          ("llama.feed_forward_length", 96), ("llama.context_length", 256), ("llama.attention.layer_norm_rms_epsilon", 1e-5), ("llama.rope.freq_base", 10000.0)]
write(out / "lora_tiny.gguf", "llama", tensors | extra, fields)
