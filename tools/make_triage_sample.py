#!/usr/bin/env python3
"""Writes recipes/triage/sample.jsonl: a small sample of what Debian changelogs publicly say, for machines without any data.

Usage: make_triage_sample.py IN.csv OUT.jsonl   (IN: `ingot data debs:recipes/triage/debian.list --write IN.csv`)
The newest 900 bullets of the ten packages with most bullets, people with fewer than three left out, texts cut at 160 characters.
"""
import collections
import csv
import json
import sys

rows = [r for r in csv.DictReader(open(sys.argv[1], encoding="utf-8")) if len(r["text"]) >= 20]
most = {c for c, _ in collections.Counter(r["Component"] for r in rows).most_common(10)}
rows = sorted((r for r in rows if r["Component"] in most), key=lambda r: r["time"])[-900:]
people = collections.Counter(r["Assignee"] for r in rows)
with open(sys.argv[2], "w", encoding="utf-8") as out:
    for r in rows:
        if people[r["Assignee"]] < 3:
            continue
        out.write(json.dumps({"id": "sample:" + r["Bug ID"], "text": r["text"][:160], "engineer": r["Assignee"], "component": r["Component"],
                              "time": r["time"]}, ensure_ascii=False) + "\n")
