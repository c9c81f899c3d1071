#!/usr/bin/env python3
"""Makes models/words.bin, the embedded word-piece vectors, from a sentence encoder (all-MiniLM-L6-v2, Apache-2.0).

Each piece goes through the encoder alone; the answers are reduced by principal components and weighed by how rare a piece
is (its place in the vocabulary, which is ordered by frequency). Needs torch, transformers, numpy:
    make_word_vectors.py FOLDER_OF_THE_MODEL models/words.bin [WIDTH]
"""
import struct
import sys

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer


def main():
    folder, out = sys.argv[1:3]
    width = int(sys.argv[3]) if len(sys.argv) > 3 else 192
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    pieces = [piece for piece, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    answers = np.zeros((len(pieces), model.config.hidden_size), np.float64)
    for begin in range(0, len(pieces), 1024):
        ids = torch.tensor([[tokenizer.cls_token_id, i, tokenizer.sep_token_id] for i in range(begin, min(begin + 1024, len(pieces)))])
        with torch.no_grad():
            answers[begin:begin + len(ids)] = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.mean(1).numpy()
    centred = answers - answers.mean(0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :width]
    axes *= np.sign(axes[np.abs(axes).argmax(0), np.arange(width)])  # a sign of one's own choosing differs between libraries
    rows = centred @ axes * np.log(2 + np.arange(len(pieces)))[:, None]
    kept = [i for i, piece in enumerate(pieces) if not (piece.startswith("[") and piece.endswith("]") and len(piece) > 1)]
    scales = np.abs(rows).max(1) / 127
    levels = np.rint(rows / scales[:, None]).astype(np.int8)
    with open(out, "wb") as file:
        file.write(struct.pack("<IIQ", 1, width, len(kept)))
        for i in kept:
            name = pieces[i].encode()
            file.write(struct.pack("<I", len(name)) + name)
        file.write(struct.pack("<Q", len(kept)) + scales[kept].astype("<f4").tobytes())
        file.write(struct.pack("<Q", len(kept) * width) + levels[kept].tobytes())


main()
