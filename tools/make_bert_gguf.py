#!/usr/bin/env python3
"""Writes a small random BERT as a GGUF file, with what transformers and tokenizers compute from it in float32.

    tools/make_bert_gguf.py tests/models/data

bert.gguf has the names and keys that llama.cpp's converter gives a BERT, its matrices in F16 (which the reference is rounded to first);
bert.json has texts, their ids, and their vectors by mean and by the first row. The pieces of words hold accents, Chinese and marks, so
that a tokenizer that reads them otherwise shows. Needs: pip install torch transformers tokenizers gguf numpy.
"""
import json
import os
import sys

import gguf
import numpy as np
import torch
import transformers as tf
from tokenizers import BertWordPieceTokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cafe", "menu", "is", "on", "table", "un", "##believ", "##able", "##ed", "##s", "read", "##ing",
         "a", "b", "c", "##a", "##b", "##c", "\u4e2d", "\u6587", "##\u6587", ".", ",", "!", "-", "'", "1", "2", "##1", "##2", "stra\u00dfe", "o", "##o"]
TEXTS = ["The caf\u00e9 menu is on the table.", "unbelievable, un-believed!", "", "\u4e2d\u6587 reading \u4e2d\u6587ing", "a bc cab 12 21", "nothing known here", "STRA\u00dfE  \t o'o",
         "[SEP] the [MASK] is read", "the tables read ooo " * 9]

folder = sys.argv[1]
torch.manual_seed(7)
config = tf.BertConfig(vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=72, initializer_range=0.3)
model = tf.BertModel(config, add_pooling_layer=False).eval()
for name, p in model.named_parameters():
    if p.dim() == 1:
        p.data += 0.1 * torch.randn_like(p)  # else every norm is 1 and every bias 0
    elif "position" not in name and "token_type" not in name:
        p.data = p.data.half().float()
tokenizer = BertWordPieceTokenizer({w: i for i, w in enumerate(WORDS)}, lowercase=True)

writer = gguf.GGUFWriter(os.path.join(folder, "bert.gguf"), "bert")
writer.add_context_length(config.max_position_embeddings)
writer.add_embedding_length(config.hidden_size)
writer.add_feed_forward_length(config.intermediate_size)
writer.add_block_count(config.num_hidden_layers)
writer.add_head_count(config.num_attention_heads)
writer.add_layer_norm_eps(config.layer_norm_eps)
writer.add_causal_attention(False)
writer.add_pooling_type(gguf.PoolingType.MEAN)
writer.add_token_type_count(2)
writer.add_tokenizer_model("bert")
writer.add_tokenizer_pre("default")
special = [w[0] == "[" for w in WORDS]
writer.add_token_list([w if s else w[2:] if w.startswith("##") else "\u2581" + w for w, s in zip(WORDS, special)])
writer.add_token_types([gguf.TokenType.CONTROL if s else gguf.TokenType.NORMAL for s in special])
for key, token in (("bos", "[CLS]"), ("eos", "[SEP]"), ("unk", "[UNK]"), ("sep", "[SEP]"), ("pad", "[PAD]"), ("mask", "[MASK]")):
    getattr(writer, f"add_{key}_token_id")(WORDS.index(token))
writer.add_add_bos_token(True)
writer.add_add_eos_token(True)
writer.add_add_sep_token(False)  # between the texts of a pair
names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, config.num_hidden_layers)
for name, p in model.named_parameters():
    half = p.dim() > 1 and "position" not in name and "token_type" not in name
    writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), p.detach().numpy().astype(np.float16 if half else np.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

out = {"texts": TEXTS, "ids": [], "mean": [], "cls": []}
for text in TEXTS:
    ids = tokenizer.encode(text).ids
    with torch.no_grad():
        rows = model(torch.tensor([ids])).last_hidden_state[0].double()
    out["ids"].append(ids)
    for pooling, vector in (("mean", rows.mean(0)), ("cls", rows[0])):
        out[pooling].append([round(v, 7) for v in torch.nn.functional.normalize(vector, dim=0).tolist()])
with open(os.path.join(folder, "bert.json"), "w") as f:
    f.write("{" + ",\n".join(f"{json.dumps(k)}: [" + ",\n  ".join(json.dumps(row) for row in rows) + "]" for k, rows in out.items()) + "}\n")
print(os.path.getsize(os.path.join(folder, "bert.gguf")), "bytes,", [len(i) for i in out["ids"]], "tokens")
