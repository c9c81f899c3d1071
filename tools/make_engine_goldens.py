#!/usr/bin/env python3
"""Writes the goldens of tests/ops and tests/models with PyTorch and transformers. Needs: pip install torch transformers gguf numpy.

    tools/make_engine_goldens.py tests/ops/data/ops.gguf tests/models/data/llama_tiny.gguf
"""
import sys

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(11)


def write(path, arch, tensors, fields=()):
    w = gguf.GGUFWriter(path, arch)
    for key, value in fields:
        (w.add_uint32 if isinstance(value, int) else w.add_float32)(key, value)
    for name, t in tensors.items():
        w.add_tensor(name, np.ascontiguousarray(t.detach().to(torch.float32).numpy()))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def leaf(*shape):
    return torch.randn(*shape, requires_grad=True)


def ops(path):
    out = {}

    def case(name, y, **inputs):
        dy = torch.randn_like(y)
        y.backward(dy)
        out[f"{name}.y"], out[f"{name}.dy"] = y, dy
        for k, v in inputs.items():
            out[f"{name}.{k}"], out[f"{name}.d{k}"] = v, v.grad

    x, w, b = leaf(7, 37), leaf(19, 37), leaf(19)
    case("linear", F.linear(x, w, b), x=x, w=w, b=b)
    a, b = leaf(5, 33), leaf(5, 33)
    case("add", a + b, a=a, b=b)
    g, u = leaf(5, 33), leaf(5, 33)
    case("swiglu", F.silu(g) * u, gate=g, up=u)
    x, w = leaf(9, 80), leaf(80)
    case("rms_norm", F.rms_norm(x, (80,), w, 1e-5), x=x, w=w)
    x, w = leaf(4, 48), leaf(16)
    case("head_norm", F.rms_norm(x.view(4, 3, 16), (16,), w, 1e-6).reshape(4, 48), x=x, w=w)
    t = leaf(11, 24)
    ids = torch.tensor([3, 0, 10, 3, 7])
    case("embed", F.embedding(ids, t), table=t)
    pos = torch.arange(6) * 3
    inv = 10000.0 ** (-torch.arange(0, 16, 2) / 16)
    angle = pos[:, None] * inv[None]
    for name in ("pairs", "halves"):
        x = leaf(6, 48)
        h = x.view(6, 3, 16)
        c, s = angle.cos()[:, None], angle.sin()[:, None]
        if name == "pairs":
            p, q = h[..., 0::2], h[..., 1::2]
            y = torch.stack((p * c - q * s, p * s + q * c), -1).reshape(6, 48)
        else:
            p, q = h[..., :8], h[..., 8:]
            y = torch.cat((p * c - q * s, p * s + q * c), -1).reshape(6, 48)
        case("rope_" + name, y, x=x)
    n, length, heads, groups, d = 2, 70, 4, 2, 16
    q, k, v = leaf(n * length, heads * d), leaf(n * length, groups * d), leaf(n * length, groups * d)
    y = F.scaled_dot_product_attention(
        q.view(n, length, heads, d).transpose(1, 2), k.view(n, length, groups, d).transpose(1, 2), v.view(n, length, groups, d).transpose(1, 2),
        is_causal=True, enable_gqa=True)
    case("attend", y.transpose(1, 2).reshape(n * length, heads * d), q=q, k=k, v=v)
    x, w = leaf(10, 24), leaf(31, 24)
    targets = torch.tensor([1, 5, -100, 30, 2, 2, 0, -100, 9, 17])
    loss = F.cross_entropy(F.linear(x, w), targets)
    loss.backward()
    out.update({"head.x": x, "head.w": w, "head.dx": x.grad, "head.dw": w.grad, "head.loss": loss.reshape(1), "head.targets": targets.float()})
    write(path, "goldens", out)


def permute(t, heads):
    """Hugging Face's rotary halves to GGUF's pairs."""
    return t.reshape(heads, 2, t.shape[0] // heads // 2, *t.shape[1:]).swapaxes(1, 2).reshape(t.shape)


def gguf_names(named, heads, groups):
    names = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}
    parts = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
             "post_attention_layernorm": "ffn_norm"}
    out = {}
    for name, t in named:
        t = t.detach().clone()
        if name in names:
            out[names[name]] = t
            continue
        _, _, layer, part = name.removesuffix(".weight").split(".", 3)
        if part == "self_attn.q_proj":
            t = permute(t, heads)
        if part == "self_attn.k_proj":
            t = permute(t, groups)
        out[f"blk.{layer}.{parts[part]}.weight"] = t
    return out


def llama(path):
    heads, groups = 2, 1
    config = LlamaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=heads, num_key_value_heads=groups,
                         intermediate_size=48, max_position_embeddings=256, rms_norm_eps=1e-5, tie_word_embeddings=True, initializer_range=0.2)
    model = LlamaForCausalLM(config)
    tensors = gguf_names(model.named_parameters(), heads, groups)
    ids = torch.randint(0, 64, (2, 80))
    inputs, targets = ids[:, :-1], ids[:, 1:]
    logits = model(inputs).logits
    loss = F.cross_entropy(logits.reshape(-1, 64), targets.reshape(-1))
    loss.backward()
    extra = {"golden.ids": ids.float(), "golden.logits": logits.reshape(-1, 64), "golden.loss": loss.reshape(1)}
    extra |= {"grad." + k: v for k, v in gguf_names(((n, p.grad) for n, p in model.named_parameters()), heads, groups).items()}
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimiser = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], lr=1e-2, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for _ in range(10):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(inputs).logits.reshape(-1, 64), targets.reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    extra["golden.losses"] = torch.tensor(losses)
    extra |= {"after." + k: v for k, v in gguf_names(model.named_parameters(), heads, groups).items()}
    fields = [("llama.embedding_length", 32), ("llama.block_count", 2), ("llama.attention.head_count", heads), ("llama.attention.head_count_kv", groups),
              ("llama.feed_forward_length", 48), ("llama.context_length", 256), ("llama.attention.layer_norm_rms_epsilon", 1e-5), ("llama.rope.freq_base", 10000.0)]
    write(path, "llama", tensors | extra, fields)


if __name__ == "__main__":
    ops(sys.argv[1])
    llama(sys.argv[2])
