#!/usr/bin/env python3
"""Collects real technical text for the injection rail: changelog entries and paragraphs of documentation of this machine.

collect_ordinary_text.py FOLDER [--changelogs N] [--paragraphs N] writes FOLDER/{changelogs,paragraphs}_{train,test}.txt, one
text a line. Packages are divided by the hash of their name, so that no package stands on both sides.
"""
import argparse
import gzip
import hashlib
import os
import random
import re


def texts_of(path, name):
    opened = gzip.open(path, "rt", errors="replace") if name.endswith(".gz") else open(path, errors="replace")
    with opened as file:
        text = file.read(400_000)
    changelog = "changelog" in name
    pieces = re.split(r"\n\s*[*+-] ", text)[1:] if changelog else re.split(r"\n\s*\n", text)
    for piece in pieces:
        piece = re.sub(r"\s+", " ", re.split(r"\n\s*-- ", piece)[0]).strip()
        if 30 <= len(piece) <= 1500:
            yield ("changelogs" if changelog else "paragraphs"), piece


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--changelogs", type=int, default=12000)
    parser.add_argument("--paragraphs", type=int, default=6000)
    wanted = parser.parse_args()
    found = {}
    root = "/usr/share/doc"
    for package in sorted(os.listdir(root)):
        folder = os.path.join(root, package)
        side = "train" if int(hashlib.sha256(package.encode()).hexdigest(), 16) % 2 == 0 else "test"
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            path = os.path.join(folder, name)
            if not os.path.isfile(path) or "html" in name or not re.search(r"changelog|README|NEWS|TODO|FAQ|copyright", name):
                continue
            try:
                for kind, text in texts_of(path, name):
                    found.setdefault((kind, side), set()).add(text)
            except (OSError, EOFError):
                continue
    os.makedirs(wanted.folder, exist_ok=True)
    for (kind, side), texts in sorted(found.items()):
        texts = sorted(texts)
        random.Random(1).shuffle(texts)
        texts = texts[:getattr(wanted, kind)]
        with open(os.path.join(wanted.folder, f"{kind}_{side}.txt"), "w") as file:
            file.write("".join(text + "\n" for text in texts))
        print(f"{kind}_{side}.txt: {len(texts)} texts")


if __name__ == "__main__":
    main()
