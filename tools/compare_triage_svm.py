#!/usr/bin/env python3
"""TF-IDF (words and pairs) and scikit-learn's LinearSVC on two CSV files split by time: the plain comparator of triage.

Usage: compare_triage_svm.py TRAIN.csv TEST.csv   (columns text, Assignee, Component; needs scikit-learn)
"""
import csv
import sys

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC

csv.field_size_limit(1 << 30)
train, test = (list(csv.DictReader(open(path, encoding="utf-8"))) for path in sys.argv[1:3])
features = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
x, y = features.fit_transform(r["text"] for r in train), features.transform(r["text"] for r in test)
for column in ("Assignee", "Component"):
    model = LinearSVC().fit(x, [r[column] for r in train])
    order = model.classes_[np.argsort(-model.decision_function(y), axis=1)]
    right = np.array([r[column] for r in test])
    tops = {f"top{k}": round(float(np.mean([a in row[:k] for a, row in zip(right, order)])), 4) for k in (1, 5, 10)}
    f1 = {f"f1_{kind}": round(f1_score(right, order[:, 0], average=kind, zero_division=0), 4) for kind in ("weighted", "macro")}
    print(column, tops | f1)
