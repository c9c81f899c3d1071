#!/usr/bin/env python3
"""Compares the ids of `ingot tokenize` with the reference's on a text, and the speeds of both on one thread.

    compare_tokenizers.py build/ingot TEXT TOKENIZER...

TOKENIZER: a tokenizer.json or a folder with one (reference: the tokenizers package), a tokenizer.model (sentencepiece), or a
.gguf (sentencepiece, with a model made from its tokens and scores; byte-level BPE: tokenizers). Broken UTF-8 in TEXT is replaced
for the reference as Python does. Seconds are the processor's, so that other work on the machine counts little.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

REGEX = {
    "llama-bpe": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "tekken": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "gpt-4o": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen35": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def gguf_fields(path):
    from gguf import GGUFReader
    out = {}
    for key, field in GGUFReader(path).fields.items():
        if key.startswith("tokenizer."):
            out[key.removeprefix("tokenizer.ggml.")] = field.contents()
    return out


def sentencepiece_model(f):
    """A SentencePiece model with the pieces, scores and types of a GGUF file."""
    from sentencepiece import sentencepiece_model_pb2 as pb
    model = pb.ModelProto()
    for piece, score, kind in zip(f["tokens"], f["scores"], f["token_type"]):
        extra = kind == 2 and len(model.pieces) != f.get("unknown_token_id", 0)  # sentencepiece allows one unknown piece
        if kind == 4:
            piece = piece.replace(" ", "\u2581")  # converters write the user's own pieces with plain spaces
        model.pieces.add(piece=piece, score=score, type=3 if extra else kind)
    model.trainer_spec.model_type = 2
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.unk_id = f.get("unknown_token_id", 0)
    model.trainer_spec.bos_id, model.trainer_spec.eos_id, model.trainer_spec.pad_id = f["bos_token_id"], f["eos_token_id"], f.get("padding_token_id", -1)
    for name, key in (("unk_piece", "unk_id"), ("bos_piece", "bos_id"), ("eos_piece", "eos_id"), ("pad_piece", "pad_id")):
        at = getattr(model.trainer_spec, key)
        if at >= 0:
            setattr(model.trainer_spec, name, f["tokens"][at])
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = bool(f.get("add_space_prefix", True))
    model.normalizer_spec.remove_extra_whitespaces = False
    return model.SerializeToString()


def byte_level_tokenizer(f):
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
    vocab = {t: i for i, t in enumerate(f["tokens"])}
    pre = f.get("pre", "gpt-2")
    merges = [tuple(m.split(" ", 1)) for m in f["merges"]]
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=pre in ("llama-bpe", "tekken")))
    if pre in REGEX:
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(REGEX[pre]), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    elif pre in ("smollm", "starcoder"):
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    elif pre == "gpt-2":
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        raise SystemExit(f"no reference for the pre-tokenizer {pre}")
    if pre in ("qwen2", "qwen35"):
        t.normalizer = normalizers.NFC()
    t.add_special_tokens([AddedToken(f["tokens"][i], normalized=False, special=True) for i, k in enumerate(f["token_type"]) if k == 3])
    t.add_tokens([AddedToken(f["tokens"][i], normalized=False) for i, k in enumerate(f["token_type"]) if k == 4])
    return t


def word_piece_tokenizer(f):
    from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
    special = [t for t, k in zip(f["tokens"], f["token_type"]) if k in (2, 3) or (len(t) > 2 and t[0] == "[" and t[-1] == "]")]
    vocab = {t if t in special else t[1:] if t[0] == "\u2581" else "##" + t: i for i, t in enumerate(f["tokens"])}
    t = Tokenizer(models.WordPiece(vocab=vocab, unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    t.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in special])
    return t


def sentencepiece_encode(s):
    """Control tokens that stand in a text are themselves, as transformers reads them; sentencepiece alone spells them out."""
    ids = {s.id_to_piece(i): i for i in range(len(s)) if s.is_control(i) or s.is_unknown(i)}
    split = re.compile("(" + "|".join(re.escape(t) for t in sorted(ids, key=len, reverse=True)) + ")")
    return lambda text: [i for at, part in enumerate(split.split(text)) for i in ([ids[part]] if at % 2 else s.encode(part))]


def reference(path):
    """encode(text) -> ids, without special tokens around the text."""
    from tokenizers import Tokenizer
    import sentencepiece
    if os.path.isdir(path):
        path = os.path.join(path, "tokenizer.json")
    if path.endswith(".json"):
        t = Tokenizer.from_file(path)
        t.no_truncation()
        t.no_padding()
    elif path.endswith(".model"):
        return sentencepiece_encode(sentencepiece.SentencePieceProcessor(model_file=path)), "sentencepiece"
    else:
        f = gguf_fields(path)
        if f["model"] == "llama":
            return sentencepiece_encode(sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model(f))), "sentencepiece"
        t = word_piece_tokenizer(f) if f["model"] == "bert" else byte_level_tokenizer(f)
    return lambda text: t.encode(text, add_special_tokens=False).ids, "tokenizers"


def compare(ingot, raw, path, part):
    encode, name = reference(path)
    ours_s = theirs_s = 0.0
    tokens = different = 0
    encode("warm up")
    with tempfile.TemporaryDirectory() as folder:
        for at in range(0, len(raw), part):
            piece = raw[at:at + part]
            file = os.path.join(folder, "part")
            with open(file, "wb") as f:
                f.write(piece)
            ours = list(map(int, subprocess.run([ingot, "tokenize", "--no-special", path, file], check=True, capture_output=True).stdout.split()))
            ours_s += json.loads(subprocess.run([ingot, "tokenize", "--no-special", "--stats", path, file], check=True, capture_output=True).stdout)["seconds"]
            text = piece.decode("utf-8", "replace")
            start = time.process_time()
            theirs = encode(text)
            theirs_s += time.process_time() - start
            tokens += len(theirs)
            if ours != theirs:
                different += 1
                first = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
                print(f"  part at {at}: {len(ours)} and {len(theirs)} ids, first difference at {first}: ours {ours[first - 2:first + 4]}, theirs {theirs[first - 2:first + 4]}")
    print(json.dumps({"tokenizer": os.path.basename(path), "reference": name, "bytes": len(raw), "tokens": tokens, "parts_different": different,
                      "ours_mb_s": round(len(raw) / 1e6 / max(ours_s, 1e-9), 2), "reference_mb_s": round(len(raw) / 1e6 / max(theirs_s, 1e-9), 2),
                      "ratio": round(theirs_s / max(ours_s, 1e-9), 2)}), flush=True)
    return different == 0


def main():
    ingot, text, *paths = sys.argv[1:]
    with open(text, "rb") as f:
        raw = f.read()
    part = int(os.environ.get("PART", 4 << 20))
    same = [compare(ingot, raw, path, part) for path in paths]
    sys.exit(0 if all(same) else 1)


if __name__ == "__main__":
    main()
