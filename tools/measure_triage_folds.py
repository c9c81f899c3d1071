#!/usr/bin/env python3
"""Triage on time-ordered folds: NAME_fold1_train.csv and NAME_fold1_test.csv to NAME_foldK_test.csv, each fold later than the last.

    tools/measure_triage_folds.py build/ingot FOLDER NAME [--folds 1,5,10] [--set base=ingot-base]... [--svm] [--shuffle]

Fold K learns from the first training file and all earlier test files. --svm puts scikit-learn's TF-IDF and LinearSVC beside it
(compare_triage_svm.py). --shuffle deals the texts of the test records out anew: what comes from text must fall to chance.
Columns: Bug ID, Component, Assignee, text, time.
"""
import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

csv.field_size_limit(1 << 30)
parser = argparse.ArgumentParser()
parser.add_argument("ingot")
parser.add_argument("folder", type=Path)
parser.add_argument("name")
parser.add_argument("--folds", default="1,2,3,4,5,6,7,8,9,10")
parser.add_argument("--set", action="append", default=[], dest="settings")
parser.add_argument("--svm", action="store_true")
parser.add_argument("--shuffle", action="store_true")
o = parser.parse_args()
MAP = "id=Bug ID,engineer=Assignee,component=Component,text=text,time=time"
KEYS = [("engineer", "top1"), ("engineer", "top5"), ("engineer", "top10"), ("component", "top1"), ("component", "f1_weighted"), ("component", "f1_macro")]


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path, records):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(records[0]))
        writer.writeheader()
        writer.writerows(records)


def svm(train, test):
    lines = subprocess.run([sys.executable, Path(__file__).with_name("compare_triage_svm.py"), train, test], check=True, capture_output=True, text=True).stdout.splitlines()
    people, parts = (eval(line.split(" ", 1)[1]) for line in lines)  # our own script's dictionaries
    return [people["top1"], people["top5"], people["top10"], parts["top1"], parts["f1_weighted"], parts["f1_macro"]]


sums = {}
for fold in map(int, o.folds.split(",")):
    records = rows(o.folder / f"{o.name}_fold1_train.csv")
    for earlier in range(1, fold):
        records += rows(o.folder / f"{o.name}_fold{earlier}_test.csv")
    later = rows(o.folder / f"{o.name}_fold{fold}_test.csv")
    if o.shuffle:
        texts = [r["text"] for r in later]
        random.Random(1).shuffle(texts)
        later = [{**r, "text": text} for r, text in zip(later, texts)]
    with tempfile.TemporaryDirectory() as folder:
        train, test, out = (str(Path(folder) / name) for name in ("train.csv", "test.csv", "ai.ingot"))
        write(train, records)
        write(test, later)
        start = time.time()
        subprocess.run([o.ingot, "build", "recipes/triage", "--source", "csv:" + train, "--test", "csv:" + test, "--map", MAP, "-o", out, "--set", "gate.beat_majority=false"] + [word for setting in o.settings for word in ("--set", setting)], check=True, stdout=subprocess.DEVNULL)
        seconds = time.time() - start
        said = json.loads(subprocess.run([o.ingot, "evaluate", out, "--data", "csv:" + test, "--map", MAP, "--json"], check=True, capture_output=True, text=True).stdout)
        found = {"this AI": said, "without the Llama": said["without"]["llama"], "sparse words alone": said["baselines"]["sparse"], "always the busiest": said["baselines"]["majority"]}
        lines = {name: [one.get(group, {}).get(key, float("nan")) for group, key in KEYS] for name, one in found.items()}
        if o.svm:
            lines["TF-IDF + LinearSVC"] = svm(train, test)
    print(f"fold {fold}: {len(records)} to learn from, {len(later)} later, built in {seconds:.0f} s, ece {said['ece']:.3f}")
    for name, line in lines.items():
        print(f"  {name:<22}" + "".join(f"{100 * value:7.1f}" for value in line), flush=True)
        sums.setdefault(name, []).append(line)
print("mean" + " " * 20 + "".join(f"{name:>7}" for name in ("top-1", "top-5", "top-10", "comp.", "F1 wtd", "F1 mac")))
for name, found in sums.items():
    print(f"  {name:<22}" + "".join(f"{100 * sum(column) / len(found):7.1f}" for column in zip(*found)))
