#!/usr/bin/env python3
"""Writes tests/text/data/tokenizers.json: small tokenizers of each family's set-up, trained here on the sentences below, with the
ids and the decoded text that the reference (tokenizers, sentencepiece) gives for each sentence.

    make_tokenizer_goldens.py tests/text/data/tokenizers.json
"""
import base64
import json
import os
import sys
import tempfile

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, __version__, decoders, models, normalizers, pre_tokenizers, processors, trainers

from compare_tokenizers import REGEX, sentencepiece_encode

TEXTS = [  # the tokenizers are trained on these
    "The build fails when the parser meets a tab; it's fixed in 2.14.3, isn't it?", "I'LL say we'Re done, SHE'D know. '\u017f 'l 'R",
    "int main(int argc, char **argv) {\n\treturn argc > 1 ? 0x1F : -1;  // done\n}\n\n\n", "  two  spaces   three    and\ttabs \r\n\r\n end ",
    "\u4f60\u597d\uff0c\u4e16\u754c\uff01\u8fd9\u662f\u4e00\u4e2a\u6d4b\u8bd5\u3002 2024\u5e74", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645\u060c \u0643\u064a\u0641\u064e \u062d\u0627\u0644\u064f\u0643\u061f \u0661\u0662\u0663",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\U0001f1e9\U0001f1ea ok", "na\u00efve cafe\u0301 \u00c5ngstr\u00f6m \u0130stanbul STRASSE stra\u00dfe \ufb01ne \u2460 \u210c",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0939\u093f\u0928\u094d\u0926\u0940 \u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 \ud55c\uad6d\uc5b4 \u65e5\u672c\u8a9e\u306e\u30c6\u30b9\u30c8",
    "camelCaseWord HTTPServer XMLHttpRequest MixedUP\u01c5ab \u0301A\u0301BC /usr/lib//x\n/ y/\n", "<s>a<|im_start|> <tool> b </s><tool>x lstrip   rstrip   Word Wordy\n", "", " ", "\n", "\u2581\u2581 a\u2581b \u00a0\u3000x\u200b\ufeff\x00\x01\x7f\x85",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1234567 12 1", "\u1c89\ua7cb\U00010d50\U00010d41 \u061d \u166d \u09fe\u0345 \U00011938",
]
MORE = [  # and not on these: tokens of one's own that overlap, control tokens written out, many equally likely cuts
    "<unk>a b </s>  <s>\n\n\n<tool>\u2581\u2581 <tool <s></unk> \n\n\n\n <s> x<tool>\u2581<s>\t", "xab abab cab \u2581ab  ab\u2581\u2581\u2581b [IMG][IMG\n\n\nab<tool>ab   ab    b     a",
    " ".join("a" * n for n in (31, 7, 64, 3, 50, 23, 90, 11, 45)),
]
BROKEN = [b"ok \xff\xfe \xc3( \xe4\xb8 \xf0\x9f\x98 end\xe2", b"\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf x"]
FAMILIES = {
    "gpt2": None, "smollm": None, "llama3": REGEX["llama-bpe"], "qwen2": REGEX["qwen2"],
    "tekken": REGEX["tekken"], "o200k": REGEX["gpt-4o"], "qwen35": REGEX["qwen35"],
}


def byte_level(name):
    t = Tokenizer(models.BPE(ignore_merges=name in ("llama3", "tekken")))
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=FAMILIES[name] is None)
    first = [pre_tokenizers.Split(Regex(FAMILIES[name]), "isolated")] if FAMILIES[name] else [pre_tokenizers.Digits(individual_digits=True)] if name == "smollm" else []
    t.pre_tokenizer = pre_tokenizers.Sequence(first + [last]) if first else last
    if name.startswith("qwen"):
        t.normalizer = normalizers.NFC()
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(TEXTS * 2, trainers.BpeTrainer(vocab_size=340, show_progress=False, special_tokens=["<s>", "</s>", "<|im_start|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("lstrip", lstrip=True, normalized=False), AddedToken("rstrip", rstrip=True, normalized=False),
                  AddedToken("Word", single_word=True, normalized=True)])
    if name == "llama3":
        t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", t.token_to_id("<s>"))])
    return t


def rules(folder):
    """A character map of a few hundred rules: the published one has 240,000 bytes."""
    import unicodedata
    lines = [f"{c:X}\t" + " ".join(f"{ord(x):X}" for x in unicodedata.normalize("NFKC", chr(c))) for c in [*range(0xA0, 0x100), *range(0x2100, 0x2150), *range(0x2460, 0x2474), *range(0xFB00, 0xFB07), 0x3000, 0xFF01, 0xFF0C]
             if unicodedata.normalize("NFKC", chr(c)) != chr(c)]
    lines += ["9\t20", "A\t20", "D\t20", "200B\t", "7F\t", "65 301\tE9", "41 301\tC1", "1F468 200D\t1F468"]
    path = os.path.join(folder, "rules.tsv")
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
    return path


def train_pieces(folder, name, **options):
    path = os.path.join(folder, name)
    with open(path + ".txt", "w") as f:
        f.write("\n".join(line for text in TEXTS * 2 for line in text.replace("\x00", "").splitlines() if line))
    sentencepiece.SentencePieceTrainer.train(input=path + ".txt", model_prefix=path, num_threads=1, minloglevel=2, hard_vocab_limit=False, **options)
    with open(path + ".model", "rb") as f:
        return f.read()


def bpe_of_pieces(blob):
    """The conversion that Llama's and Gemma's tokenizer.json come from: merges ordered by the score of what they make."""
    from sentencepiece import sentencepiece_model_pb2 as pb
    model = pb.ModelProto()
    model.ParseFromString(blob)
    vocab = {p.piece: i for i, p in enumerate(model.pieces)}
    merges = []
    for p in model.pieces:
        local = [(vocab[p.piece[:i]], vocab[p.piece[i:]], p.piece[:i], p.piece[i:]) for i in range(1, len(p.piece)) if p.piece[:i] in vocab and p.piece[i:] in vocab]
        merges += [(-p.score, vocab[p.piece], a, b) for _, _, a, b in sorted(local)]
    merges.sort(key=lambda m: m[:2])
    t = Tokenizer(models.BPE(vocab=vocab, merges=[m[2:] for m in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.add_special_tokens([AddedToken(x, normalized=False, special=True) for x in ("<unk>", "<s>", "</s>")])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return t


def unigram_of_pieces(blob, family):
    from sentencepiece import sentencepiece_model_pb2 as pb
    model = pb.ModelProto()
    model.ParseFromString(blob)
    t = Tokenizer(models.Unigram([(p.piece, p.score) for p in model.pieces], 0, False))
    compiled = [normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)] if model.normalizer_spec.precompiled_charsmap else []
    t.add_special_tokens([AddedToken(x, normalized=False, special=True) for x in ("<unk>", "<s>", "</s>")])
    t.decoder = decoders.Metaspace()
    if family == "t5":
        t.normalizer = normalizers.Sequence([*compiled, normalizers.Strip(False, True), normalizers.Replace(Regex(" {2,}"), "\u2581")])
        t.pre_tokenizer = pre_tokenizers.Metaspace()
        t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    else:
        t.normalizer = normalizers.Sequence([*compiled, normalizers.Replace(Regex(" {2,}"), " ")])
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
        t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return t


def word_piece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=30))
    t.normalizer, t.pre_tokenizer, t.decoder = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    t.train_from_iterator(TEXTS * 2, trainers.WordPieceTrainer(vocab_size=330, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], limit_alphabet=150))
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return t


def all_texts():
    return TEXTS + MORE + [b.decode("utf-8", "replace") for b in BROKEN]


def hugging_face(name, t):
    file, texts = t.to_str(), all_texts()
    t = Tokenizer.from_str(file)  # its reader rounds scores
    with_special = [t.encode(text).ids for text in texts]
    return {"name": name, "json": json.loads(file), "ids": with_special, "plain_ids": [t.encode(text, add_special_tokens=False).ids for text in texts],
            "decoded": [t.decode(ids) for ids in with_special]}


def sentence_piece(name, blob):
    encode = sentencepiece_encode(sentencepiece.SentencePieceProcessor(model_proto=blob))
    return {"name": name, "model": base64.b64encode(blob).decode(), "plain_ids": [encode(text) for text in all_texts()]}


def equal_cuts(each):
    """A unigram model under which "aaaaaa" is as likely as 3 times "aa" or 2 times "aaa": rounding decides."""
    from sentencepiece import sentencepiece_model_pb2 as pb
    model = pb.ModelProto()
    for piece, score, kind in [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("\u2581", -3, 1), ("a", -each * 1.01, 1), *[("a" * n, -each * n, 1) for n in (2, 3, 5, 7)]]:
        model.pieces.add(piece=piece, score=score, type=kind)
    model.trainer_spec.model_type = 1
    model.normalizer_spec.name = "identity"
    return model.SerializeToString()


def main():
    cases = [hugging_face(name, byte_level(name)) for name in FAMILIES]
    with tempfile.TemporaryDirectory() as folder:
        bpe = train_pieces(folder, "bpe", model_type="bpe", vocab_size=700, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                           allow_whitespace_only_pieces=True, split_digits=True, character_coverage=0.98)
        own = train_pieces(folder, "own", model_type="bpe", vocab_size=700, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                           add_dummy_prefix=False, user_defined_symbols=["<tool>", "\u2581\u2581", "\n\n"], character_coverage=0.98)
        own_unigram = train_pieces(folder, "own_unigram", model_type="unigram", vocab_size=500, byte_fallback=True, normalization_rule_tsv=rules(folder),
                                   user_defined_symbols=["<tool>", "[IMG]", "\u2581\u2581", "\n\n", "ab"], control_symbols=["<s2>"], character_coverage=0.98)
        unigram = train_pieces(folder, "unigram", model_type="unigram", vocab_size=400, normalization_rule_tsv=rules(folder), character_coverage=0.98)
    legacy, newer, gemma = bpe_of_pieces(bpe), bpe_of_pieces(bpe), bpe_of_pieces(bpe)
    legacy.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    newer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    gemma.normalizer, gemma.pre_tokenizer = normalizers.Replace(" ", "\u2581"), pre_tokenizers.Split(" ", "merged_with_previous")
    gemma.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    own_gemma = bpe_of_pieces(own)
    own_gemma.normalizer, own_gemma.pre_tokenizer, own_gemma.decoder = gemma.normalizer, gemma.pre_tokenizer, gemma.decoder
    own_gemma.add_tokens([AddedToken(x, normalized=False) for x in ("<tool>", "\u2581\u2581", "\n\n")])
    cases += [hugging_face("llama2 legacy", legacy), hugging_face("llama2", newer), hugging_face("gemma", gemma),
              hugging_face("gemma with its own pieces", own_gemma), hugging_face("xlm-r", unigram_of_pieces(unigram, "xlmr")),
              hugging_face("t5", unigram_of_pieces(unigram, "t5")), hugging_face("bert", word_piece()), hugging_face("equal cuts", unigram_of_pieces(equal_cuts(1.7), "xlmr"))]
    cases += [sentence_piece("sentencepiece bpe", bpe), sentence_piece("sentencepiece bpe with its own pieces", own), sentence_piece("sentencepiece unigram", unigram),
              sentence_piece("sentencepiece unigram with its own pieces", own_unigram), sentence_piece("sentencepiece equal cuts", equal_cuts(4321.1))]
    texts = [base64.b64encode(t.encode()).decode() for t in TEXTS + MORE] + [base64.b64encode(b).decode() for b in BROKEN]
    with open(sys.argv[1], "w") as f:
        f.write(f'{{"made_with": "tokenizers {__version__}, sentencepiece {sentencepiece.__version__}", "texts": ' + json.dumps(texts) + ',\n"cases": [\n')
        f.write(",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]}\n")


if __name__ == "__main__":
    main()
