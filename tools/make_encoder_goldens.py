#!/usr/bin/env python3
"""Writes what a language model's last hidden states give as the vectors of texts, by transformers in float32, pooled by mean and by last.

    tools/make_encoder_goldens.py tests/models/data/families tests/models/data/llama_encoder.safetensors

The models are those of make_family_goldens.py, the texts ids of their vocabulary. A text longer than the context is read in windows:
mean is over all rows of all windows, last adds up each window's last row; every vector has length 1.
Needs: pip install torch transformers safetensors.
"""
import os
import sys

import torch
import transformers as tf
from safetensors.torch import save_file

LENGTHS = (1, 7, 64, 65, 128, 300)  # the models' context is 128
out = {"lengths": torch.tensor(LENGTHS).float()}
for name in ("gemma3", "llama3", "mistral", "qwen3"):
    torch.manual_seed(len(name))
    model = tf.AutoModel.from_pretrained(os.path.join(sys.argv[1], name), dtype=torch.float32, attn_implementation="eager").eval()
    limit = model.config.max_position_embeddings
    ids, mean, last = [], [], []
    for length in LENGTHS:
        text = torch.randint(2, 48, (length,))
        with torch.no_grad():
            windows = [model(text[at:at + limit][None]).last_hidden_state[0].double() for at in range(0, length, limit)]
        ids.append(text)
        mean.append(torch.nn.functional.normalize(torch.cat(windows).mean(0), dim=0))
        last.append(torch.nn.functional.normalize(sum(w[-1] for w in windows), dim=0))
    out |= {name + ".ids": torch.cat(ids).float(), name + ".mean": torch.stack(mean).float(), name + ".last": torch.stack(last).float()}
save_file(out, sys.argv[2])
print(os.path.getsize(sys.argv[2]), "bytes")
