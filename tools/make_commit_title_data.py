#!/usr/bin/env python3
"""Writes conversations for recipes/chat from the upstream changelogs of the installed packages that are made from a git log: what was
changed, file by file, is asked; the commit's title is the answer.

    tools/make_commit_title_data.py OUT.jsonl [--most 4000] [--longest 900]

Only /usr/share/doc is read. Each line has prompt, completion and time.
"""
import argparse
import glob
import gzip
import json
import re

parser = argparse.ArgumentParser()
parser.add_argument("out")
parser.add_argument("--most", type=int, default=4000, help="the newest that are kept")
parser.add_argument("--longest", type=int, default=900, help="characters of the details")
options = parser.parse_args()

DATE = re.compile(r"^(\d{4}-\d{2}-\d{2})  \S")
records, seen, contents = [], set(), set()
for path in sorted(glob.glob("/usr/share/doc/*/changelog.gz")):
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as f:
        text = f.read()
    if text in contents:
        continue
    contents.add(text)
    day, entry = None, []

    def flush():
        lines = [line for line in entry if not line.startswith("+ commit")]
        entry.clear()
        if not day or len(lines) < 2:
            return
        title, rest = lines[0], lines[1:]
        body = "\n".join(rest).strip()
        if title.startswith(("*", "(", "-")) or rest[0][:1].islower() or not 15 <= len(title) <= 100 or "* " not in body or len(body) > options.longest:
            return
        if title.lower().startswith(("merge", "revert", "changelog")) or body in seen:
            return
        seen.add(body)
        records.append({"prompt": "Write the title of this commit in one line.\n\n" + body, "completion": title, "time": day, "source": path.split("/")[4]})

    for line in text.split("\n"):
        if DATE.match(line):
            flush()
            day = line[:10]
        elif line.startswith("\t"):
            entry.append(line.strip())
        elif not line.strip():
            # A new commit of the same day begins after an empty line, unless it goes on with a file of the last.
            following = entry and not any(x.startswith("* ") for x in entry)
            if not following:
                flush()
    flush()

records.sort(key=lambda r: r["time"])
records = records[-options.most:]
with open(options.out, "w") as f:
    for r in records:
        f.write(json.dumps(r, ensure_ascii=False) + "\n")
by = {}
for r in records:
    by[r["source"]] = by.get(r["source"], 0) + 1
print(len(records), "commits,", records[0]["time"] if records else "-", "to", records[-1]["time"] if records else "-", by)
