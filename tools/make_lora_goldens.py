#!/usr/bin/env python3
"""Writes small LoRA adapters and the logits that PEFT gives with them. Needs: pip install torch transformers peft gguf safetensors.

    tools/make_lora_goldens.py tests/models/data/llama_tiny.gguf tests/models/data/lora
"""
import json
import os
import sys

import gguf
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(12)
reader = gguf.GGUFReader(sys.argv[1])
tensors = {t.name: torch.tensor(t.data) for t in reader.tensors}
heads, groups = 2, 1


def unpermute(t, heads):
    """GGUF's rotary pairs to Hugging Face's halves."""
    return t.reshape(heads, t.shape[0] // heads // 2, 2, *t.shape[1:]).swapaxes(1, 2).reshape(t.shape)


def base():
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=heads, num_key_value_heads=groups,
                                         intermediate_size=48, max_position_embeddings=256, rms_norm_eps=1e-5, tie_word_embeddings=True))
    parts = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
             "post_attention_layernorm": "ffn_norm"}
    for name, p in model.named_parameters():
        if "layers" in name:
            _, _, layer, part = name.removesuffix(".weight").split(".", 3)
            t = tensors[f"blk.{layer}.{parts[part]}.weight"]
            t = unpermute(t, heads) if part == "self_attn.q_proj" else unpermute(t, groups) if part == "self_attn.k_proj" else t
        else:
            t = tensors["token_embd.weight" if "embed" in name else "output_norm.weight"]
        p.data = t.clone()
    return model.eval()


everything = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
cases = {
    "plain": LoraConfig(r=4, lora_alpha=8, target_modules=everything),
    "rslora": LoraConfig(r=3, lora_alpha=5, use_rslora=True, target_modules=["q_proj", "up_proj"], rank_pattern={"layers.1.self_attn.q_proj": 6}, alpha_pattern={"up_proj": 2}),
    "dora": LoraConfig(r=2, lora_alpha=4, use_dora=True, target_modules=["q_proj", "k_proj", "down_proj"]),
    "vocabulary": LoraConfig(r=3, lora_alpha=6, target_modules=["embed_tokens", "lm_head", "v_proj"]),
}
ids = tensors["golden.ids"].long()[:1, :24]
with torch.no_grad():
    out = {"base": base()(ids).logits[0]}
    for name, config in cases.items():
        model = get_peft_model(base(), config).eval()
        for key, p in model.named_parameters():
            if "lora_" in key:
                p.data = p.data * (0.7 + 0.6 * torch.rand_like(p)) if "magnitude" in key else torch.randn_like(p) * 0.3
        out[name] = model(ids).logits[0]
        folder = os.path.join(sys.argv[2], name)
        model.save_pretrained(folder)
        os.path.exists(os.path.join(folder, "README.md")) and os.remove(os.path.join(folder, "README.md"))
        path = os.path.join(folder, "adapter_config.json")
        with open(path) as f:
            config = json.load(f)
        with open(path, "w") as f:
            json.dump(config, f, sort_keys=True)
save_file({k: v.contiguous().clone() for k, v in out.items()}, os.path.join(sys.argv[2], "logits.safetensors"))
