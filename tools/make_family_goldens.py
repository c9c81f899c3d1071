#!/usr/bin/env python3
"""Writes small random models of every family as Hugging Face folders, with what transformers computes from them in float32.

    tools/make_family_goldens.py tests/models/data/families [NAME...]

Each folder has config.json, the weights, and golden.safetensors: ids and logits (or an encoder's hidden states). Head sizes, numbers
of key/value heads, tying, element types and the style of config.json vary; the windows and scalings are shorter than the texts, so
that leaving one out shows. Needs: pip install torch transformers safetensors numpy.
"""
import json
import os
import shutil
import sys

import torch
import transformers as tf
from safetensors.torch import save_file

LENGTH = 90


def llama(**more):
    return tf.LlamaForCausalLM, tf.LlamaConfig(**(dict(
        vocab_size=48, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16, intermediate_size=40,
        max_position_embeddings=128, rms_norm_eps=1e-5, tie_word_embeddings=False) | more))


def of(cls, config, **more):
    return cls, config(**(dict(vocab_size=48, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
                               intermediate_size=40, max_position_embeddings=128) | more))


def rope(kind, **more):
    return {"rope_type": kind, "rope_theta": 10000.0, **more}


CASES = {
    # name: (what makes it, element type, key of the old style or None, shard size)
    "llama1": (lambda: llama(head_dim=96, num_key_value_heads=2), torch.bfloat16, "old", None),
    "llama3": (lambda: llama(head_dim=64, num_attention_heads=4, rope_parameters=rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)), torch.bfloat16, None, "20KB"),
    "llama_linear": (lambda: llama(head_dim=80, num_key_value_heads=2, rope_parameters=rope("linear", factor=4.0)), torch.float16, "old", None),
    "llama_dynamic": (lambda: llama(max_position_embeddings=32, rope_parameters=rope("dynamic", factor=2.0)), torch.bfloat16, None, None),
    "llama_yarn": (lambda: llama(head_dim=32, rope_parameters=rope("yarn", factor=4.0, original_max_position_embeddings=24)), torch.bfloat16, "old", None),
    "llama_yarn_mscale": (lambda: llama(head_dim=32, attention_bias=True, rope_parameters=rope("yarn", factor=8.0, original_max_position_embeddings=16, mscale=1.0, mscale_all_dim=0.5, beta_fast=20.0, beta_slow=2.0, truncate=False)), torch.bfloat16, None, None),
    "smollm2": (lambda: llama(head_dim=64, num_attention_heads=3, tie_word_embeddings=True), torch.bfloat16, "old", None),
    "mistral": (lambda: of(tf.MistralForCausalLM, tf.MistralConfig, head_dim=128, num_attention_heads=2, sliding_window=21, tie_word_embeddings=False), torch.bfloat16, None, None),
    "qwen2": (lambda: of(tf.Qwen2ForCausalLM, tf.Qwen2Config, hidden_size=32, num_key_value_heads=2, tie_word_embeddings=True), torch.bfloat16, "old", None),
    "qwen2_window": (lambda: of(tf.Qwen2ForCausalLM, tf.Qwen2Config, hidden_size=32, use_sliding_window=True, sliding_window=17, max_window_layers=1, tie_word_embeddings=False), torch.bfloat16, None, None),
    "qwen3": (lambda: of(tf.Qwen3ForCausalLM, tf.Qwen3Config, head_dim=128, tie_word_embeddings=True), torch.bfloat16, None, None),
    "gemma3": (lambda: of(tf.Gemma3ForCausalLM, tf.Gemma3TextConfig, num_hidden_layers=3, sliding_window=19, sliding_window_pattern=3, query_pre_attn_scalar=24, hidden_size=32,
                          rope_parameters={"full_attention": rope("linear", factor=8.0) | {"rope_theta": 1e6}, "sliding_attention": rope("default")}), torch.bfloat16, None, None),
    "gemma3_cap": (lambda: of(tf.Gemma3ForCausalLM, tf.Gemma3TextConfig, num_hidden_layers=3, sliding_window=70, sliding_window_pattern=2, query_pre_attn_scalar=16, hidden_size=32, num_key_value_heads=2,
                              final_logit_softcapping=3.0), torch.bfloat16, "old", None),
    "gemma3_256": (lambda: of(tf.Gemma3ForCausalLM, tf.Gemma3TextConfig, head_dim=256, hidden_size=8, sliding_window=23, sliding_window_pattern=2, query_pre_attn_scalar=256), torch.bfloat16, None, None),
    "bert": (lambda: (tf.BertModel, tf.BertConfig(vocab_size=48, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=56, max_position_embeddings=96)), torch.float32, None, None),
    "roberta": (lambda: (tf.RobertaModel, tf.RobertaConfig(vocab_size=48, hidden_size=32, num_hidden_layers=2, num_attention_heads=1, intermediate_size=56, max_position_embeddings=98, type_vocab_size=1,
                                                           pad_token_id=1)), torch.bfloat16, None, None),
    "camembert": (lambda: (tf.CamembertModel, tf.CamembertConfig(vocab_size=48, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=40, max_position_embeddings=98, type_vocab_size=1,
                                                                 pad_token_id=1)), torch.bfloat16, None, None),
    "xlm_roberta": (lambda: (tf.XLMRobertaModel, tf.XLMRobertaConfig(vocab_size=48, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, max_position_embeddings=98, type_vocab_size=1,
                                                                     pad_token_id=1)), torch.float32, None, None),
}
LATER = ["camembert", "gemma3_256", "xlm_roberta"]  # than the seeds of the others
ORDER = sorted(set(CASES) - set(LATER)) + LATER
ENCODERS = ("bert", "roberta", "camembert", "xlm_roberta")


def old_style(config):
    """config.json as it was before rope_parameters."""
    rope = config.pop("rope_parameters", None) or {}
    if "full_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    config["rope_theta"] = rope.pop("rope_theta", 10000.0)
    config["rope_scaling"] = rope if rope.get("rope_type", "default") != "default" else None
    if config.pop("layer_types", None) and config["model_type"].startswith("gemma"):
        config["sliding_window_pattern"] = config.pop("_sliding_window_pattern")
    return config


def make(folder, name):
    build, dtype, style, shard = CASES[name]
    torch.manual_seed(ORDER.index(name) + 1)
    cls, config = build()
    config._attn_implementation = "eager"
    model = cls(config).eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.normal_(0, 0.35 if p.dim() > 1 else 0.3)
            if p.dim() == 1 and key.endswith("weight") and not name.startswith("gemma"):
                p += 1
    model = model.to(dtype)
    path = os.path.join(folder, name)
    shutil.rmtree(path, ignore_errors=True)
    model.save_pretrained(path, **({"max_shard_size": shard} if shard else {}))
    # Read again rather than widened: .to() rounds the rotary tables too.
    model = cls.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    for extra in ("generation_config.json", "README.md"):
        if os.path.exists(os.path.join(path, extra)):
            os.remove(os.path.join(path, extra))
    if style == "old":
        file = os.path.join(path, "config.json")
        config_json = old_style(json.load(open(file)))
        json.dump(config_json, open(file, "w"), indent=1, sort_keys=True)
    ids = torch.randint(2, 48, (1, LENGTH))
    with torch.no_grad():
        if name in ENCODERS:  # two texts of different lengths, each by itself
            out = torch.cat([model(ids[:, :60]).last_hidden_state[0], model(ids[:, 60:]).last_hidden_state[0]])
        elif name == "llama_dynamic":  # as it decodes: one token after the other
            cache, rows = None, []
            for i in range(LENGTH):
                step = model(ids[:, i:i + 1], past_key_values=cache, use_cache=True)
                cache = step.past_key_values
                rows.append(step.logits[0, 0])
            out = torch.stack(rows)
        else:
            out = model(ids).logits[0]
    save_file({"ids": ids[0].float(), "out": out.contiguous()}, os.path.join(path, "golden.safetensors"))
    size = sum(os.path.getsize(os.path.join(path, f)) for f in os.listdir(path))
    print(f"{name}: {size} bytes, outputs {out.abs().max().item():.3f} at most, spread {out.std().item():.3f}")


for name in sys.argv[2:] or sorted(CASES):
    make(sys.argv[1], name)
