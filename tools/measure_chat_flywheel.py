#!/usr/bin/env python3
"""What a chat AI gains by turning, through HTTP: the next questions are asked of the AI that turns and of the frozen one, then people say
what the answer should have been, then the wheel turns once.

tools/make_commit_title_data.py talks.jsonl --most 2400 --longest 300
tools/measure_chat_flywheel.py talks.jsonl --work DIR [--base smollm2-135m-instruct] [--first 600] [--held 100] [--period 150] [--periods 3] [--set KEY=VALUE]

The conversations come in their order: `first` build the AI, `held` judge it, the periods follow. Prints one JSON object a period: ROUGE-L of
both on questions that neither has seen, the verdict, the turn's cost.
"""
import argparse
import http.client
import json
import os
import re
import subprocess

parser = argparse.ArgumentParser()
parser.add_argument("talks")
parser.add_argument("--work", required=True)
parser.add_argument("--base", default="smollm2-135m-instruct")
parser.add_argument("--binary", default="build/ingot")
parser.add_argument("--first", type=int, default=600)
parser.add_argument("--held", type=int, default=100)
parser.add_argument("--period", type=int, default=150)
parser.add_argument("--periods", type=int, default=3)
parser.add_argument("--set", action="append", default=[])
options = parser.parse_args()
os.makedirs(options.work, exist_ok=True)
talks = [json.loads(line) for line in open(options.talks)]
talks = talks[-(options.first + options.held + options.period * options.periods):]


def write(name, part):
    path = os.path.join(options.work, name)
    with open(path, "w") as file:
        file.writelines(json.dumps(one) + "\n" for one in part)
    return path


def words(text):
    return re.findall(r"[a-z0-9\x80-\U0010ffff]+", text.lower())


def rouge_l(said, right):  # Lin 2004
    a, b = words(said), words(right)
    row = [0] * (len(b) + 1)
    for x in a:
        previous = 0
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], previous + 1 if x == y else max(row[j], row[j - 1])
    return 2 * row[-1] / (len(a) + len(b)) if a and b else float(a == b)


def build(name):
    out = os.path.join(options.work, name + ".ingot")
    settings = ["name=" + name, "base=" + options.base, "chat.max_tokens=32", "serve.flywheel=false"] + options.set
    subprocess.run([options.binary, "build", "recipes/chat", "--source", "jsonl:" + write("train.jsonl", talks[:options.first]), "--test",
                    "jsonl:" + write("held.jsonl", talks[options.first:options.first + options.held]), "-o", out] + [w for s in settings for w in ("--set", s)], check=True)
    return out


turning = build("turning")
frozen = os.path.join(options.work, "frozen.ingot")
with open(turning, "rb") as a, open(frozen, "wb") as b:
    b.write(a.read())
server = subprocess.Popen([options.binary, "serve", "turning=" + turning, "frozen=" + frozen, "--port", "0", "--data", os.path.join(options.work, "data")], stdout=subprocess.PIPE, text=True)
port = int(server.stdout.readline().strip().rsplit(":", 1)[1])


def ask(path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise SystemExit(f"{path}: {answer.status} {text[:500]}")
    return json.loads(text)


def answered(model, talk):
    got = ask("/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": talk["prompt"]}], "temperature": 0})
    return got["id"], got["choices"][0]["message"]["content"]


try:
    at = options.first + options.held
    for period in range(options.periods):
        part = talks[at:at + options.period]
        at += options.period
        of = {"turning": [], "frozen": []}
        for number, talk in enumerate(part):
            _, said = answered("frozen", talk)
            of["frozen"].append(rouge_l(said, talk["completion"]))
            id, said = answered("turning", talk)
            of["turning"].append(rouge_l(said, talk["completion"]))
            ask("/v1/feedback", {"id": id, "better": talk["completion"], "user": f"person {number % 5}"})
        done = subprocess.run([options.binary, "fly", "run", "turning", "--data", os.path.join(options.work, "data"), "--json", "--burst", "0"], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        report = json.loads(done.stdout)
        print(json.dumps({"period": period, "questions": len(part), **{name: round(sum(scores) / len(scores), 4) for name, scores in of.items()},
                          "kept": report["kept"], "promoted": report["promoted"], "verdict": report["verdict"], "cost": report["cost"]}), flush=True)
finally:
    server.terminate()
    server.wait(60)
