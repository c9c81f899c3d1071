#!/usr/bin/env python3
"""Writes src/text/unicode_tables.inc: the sets of characters by which the reference (the tokenizers package) works, where its
tables are of another Unicode version than utf8proc's (15.0 in Debian 12).

    make_unicode_tables.py src/text/unicode_tables.inc

Its regular expressions know Unicode 16, its digits and lower case are of a newer version still, and BERT's punctuation and marks
of an older one, so a plain category look-up gives other pieces.
"""
import sys
import unicodedata

from tokenizers import Regex, __version__, normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def matched(pattern):
    """Code points that a regular expression matches, asked in blocks between characters that it does not match."""
    split, out = pre_tokenizers.Split(Regex(pattern), "isolated"), set()
    for at in range(0, len(POINTS), 4096):
        block = POINTS[at:at + 4096]
        for _, (a, b) in split.pre_tokenize_str("".join("\x01" + chr(c) for c in block)):
            if b - a == 1 and a % 2 == 1:
                out.add(block[a // 2])
    return out


def cut(step):
    return {c for c in POINTS if len(step.pre_tokenize_str("a" + chr(c) + "a")) > 1}


def dropped(step):
    return {c for c in POINTS if step.normalize_str("a" + chr(c) + "a") == "aa"}


def known(letters):
    """By Unicode 15.0 or older: what utf8proc says too. Python 3.11 has 14.0, so 15.0's additions are listed too; harmless."""
    return {c for c in POINTS if unicodedata.category(chr(c))[0] == letters or unicodedata.category(chr(c)) == letters}


def ranges(points):
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def write(file, name, points):
    items = [f"{{0x{a:x}, 0x{b:x}}}" for a, b in ranges(points)]
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > 130:
            lines.append(line)
            line = "   "
        line += " " + item + ","
    lines.append(line)
    file.write(f"constexpr CodeRange {name}[] = {{\n" + "\n".join(lines) + "\n};\n")


def main():
    bert = lambda **on: normalizers.BertNormalizer(**({"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False} | on))
    lower = normalizers.Lowercase()
    with open(sys.argv[1], "w") as file:
        file.write(f"// Made by tools/make_unicode_tables.py with tokenizers {__version__}; do not edit.\n")
        write(file, "kNewerUpper", matched(r"[\p{Lu}\p{Lt}]") - known("Lu") - known("Lt"))
        write(file, "kNewerLower", matched(r"\p{Ll}") - known("Ll"))
        write(file, "kNewerLetter", matched(r"[\p{Lm}\p{Lo}]") - known("Lm") - known("Lo"))
        write(file, "kNewerMark", matched(r"\p{M}") - known("M"))
        write(file, "kNewerNumber", matched(r"\p{N}") - known("N"))
        write(file, "kDigitsBesides", cut(pre_tokenizers.Digits(individual_digits=True)) - matched(r"\p{N}"))
        write(file, "kBertPunctuation", cut(pre_tokenizers.Punctuation()))
        write(file, "kBertControl", dropped(bert(clean_text=True)))
        write(file, "kBertMark", dropped(bert(strip_accents=True)))
        # What the reference's older normalization leaves alone: marks that it does not order, characters that it does not take apart.
        nfd, nfkd = normalizers.NFD(), normalizers.NFKD()
        still = {c for c in POINTS if unicodedata.combining(chr(c)) and nfd.normalize_str("\u0345" + chr(c)) == "\u0345" + chr(c)
                 and nfd.normalize_str(chr(c) + "\u0334") == chr(c) + "\u0334"}
        still -= {0x345}
        still |= {c for c in POINTS if unicodedata.normalize("NFKD", chr(c)) != chr(c) and nfkd.normalize_str(chr(c)) == chr(c)}
        # Unicode 15.0's own, which this Python may not know, and the one pair that newer Unicode composes.
        still |= {c for c in POINTS if unicodedata.category(chr(c)) == "Cn" and 0x10EFD <= c <= 0x10EFF} | {0x11930}
        still |= {c for c in POINTS if 0x1E030 <= c <= 0x1E06D or c in (0x11F41, 0x11F42, 0x1E08F, 0x1E4EC, 0x1E4ED, 0x1E4EE, 0x1E4EF)}
        write(file, "kLeftAlone", still)
        pairs = [(c, ord(l)) for c in POINTS if c > 127 and len(l := lower.normalize_str(chr(c))) == 1 and ord(l) != c and unicodedata.category(chr(c)) == "Cn"]
        pairs += [(c, ord(lower.normalize_str(chr(c)))) for c in POINTS if unicodedata.category(chr(c)) != "Cn" and len(chr(c).lower()) == 1 and lower.normalize_str(chr(c)) != chr(c).lower()]
        file.write("constexpr CodePair kNewerLowerCase[] = {\n")
        for at in range(0, len(pairs), 7):
            file.write("    " + " ".join(f"{{0x{a:x}, 0x{b:x}}}," for a, b in pairs[at:at + 7]) + "\n")
        file.write("};\n")


if __name__ == "__main__":
    main()
