#!/usr/bin/env python3
"""Writes a GGUF of a real model's shape with random weights, to measure speed with; it says nothing sensible.

  pip install numpy gguf
  tools/make_speed_model.py 1.1b Q4_K_M out.gguf

Blocks are random bytes with scales that keep values near a normal deviation of 0.02; the mix of types is llama.cpp's for that name.
"""
import argparse

import gguf
import numpy

SHAPES = {  # width, layers, heads, key/value heads, hidden, vocabulary, tied
    "30m": (384, 6, 6, 2, 1024, 32000, True),
    "135m": (576, 30, 9, 3, 1536, 49152, True),
    "1.1b": (2048, 22, 32, 4, 5632, 32000, False),
    "7b": (4096, 32, 32, 32, 11008, 32000, False),
}
T = gguf.GGMLQuantizationType
# Block length, bytes, and where its halves stand with the value that gives the deviation wanted.
BLOCKS = {T.Q8_0: (32, 34, {0: 0.02 / 74}), T.Q4_0: (32, 18, {0: 0.02 / 4.6}), T.Q4_1: (32, 20, {0: 0.02 / 4.6, 2: -0.033}),
          T.Q5_0: (32, 22, {0: 0.02 / 9.2}), T.Q5_1: (32, 24, {0: 0.02 / 9.2, 2: -0.034}), T.IQ4_NL: (32, 18, {0: 0.02 / 66}),
          T.IQ4_XS: (256, 136, {0: 0.02 / 66 / 18}), T.Q4_K: (256, 144, {0: 0.02 / 4.6 / 32, 2: 0.001}), T.Q5_K: (256, 176, {0: 0.02 / 9.2 / 32, 2: 0.001}),
          T.Q6_K: (256, 210, {208: 0.02 / 18 / 74})}
MIXES = {"Q4_K_M": (T.Q4_K, T.Q6_K), "Q5_K_M": (T.Q5_K, T.Q6_K)}


def values(random, kind, rows, cols):
    length, size, halves = BLOCKS[kind]
    assert cols % length == 0, f"rows of {cols} do not fill blocks of {length}"
    blocks = random.integers(0, 256, (rows * cols // length, size), dtype=numpy.uint8)
    for at, value in halves.items():
        blocks[:, at:at + 2] = numpy.frombuffer(numpy.float16(value).tobytes(), dtype=numpy.uint8)
    return blocks.reshape(rows, cols // length * size)


def more_bits(i, layers):  # where llama.cpp's _M mixes use the larger type
    return i < layers // 8 or i >= 7 * layers // 8 or (i - layers // 8) % 3 == 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("type", choices=sorted([t.name for t in BLOCKS] + list(MIXES)))
    parser.add_argument("out")
    parser.add_argument("--context", type=int, default=40960)
    args = parser.parse_args()
    width, layers, heads, groups, hidden, vocab, tied = SHAPES[args.shape]
    base, large = MIXES.get(args.type) or (T[args.type], T[args.type])
    random = numpy.random.default_rng(1)
    head = width // heads

    out = gguf.GGUFWriter(args.out, "llama")
    out.add_name(f"random {args.shape}")
    out.add_context_length(args.context)
    out.add_embedding_length(width)
    out.add_block_count(layers)
    out.add_feed_forward_length(hidden)
    out.add_head_count(heads)
    out.add_head_count_kv(groups)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(head)
    out.add_vocab_size(vocab)
    # Bytes as GPT-2 writes them, then names; enough for both engines to open it.
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    characters = [chr(b) for b in plain] + [chr(256 + i) for i in range(256 - len(plain))]
    tokens = characters + ["<|endoftext|>", "Ġw", "ab"] + [f"Ġw{i}" for i in range(vocab - 259)]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("smollm")
    out.add_token_list(tokens)
    out.add_token_types([3 if t == "<|endoftext|>" else 1 for t in tokens])
    out.add_token_merges(["Ġ w", "a b"])
    out.add_eos_token_id(256)
    out.add_bos_token_id(256)

    def matrix(name, rows, cols, kind):
        out.add_tensor(name, values(random, kind, rows, cols), raw_dtype=kind)

    def vector(name, size):
        out.add_tensor(name, numpy.ones(size, dtype=numpy.float32))

    matrix("token_embd.weight", vocab, width, large if tied and args.type in MIXES else base)
    for i in range(layers):
        more = large if more_bits(i, layers) else base
        p = f"blk.{i}."
        vector(p + "attn_norm.weight", width)
        matrix(p + "attn_q.weight", width, width, base)
        matrix(p + "attn_k.weight", groups * head, width, base)
        matrix(p + "attn_v.weight", groups * head, width, more)
        matrix(p + "attn_output.weight", width, width, base)
        vector(p + "ffn_norm.weight", width)
        matrix(p + "ffn_gate.weight", hidden, width, base)
        matrix(p + "ffn_up.weight", hidden, width, base)
        matrix(p + "ffn_down.weight", width, hidden, more)
    vector("output_norm.weight", width)
    if not tied:
        matrix("output.weight", vocab, width, large)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main()
