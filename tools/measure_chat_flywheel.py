#!/usr/bin/env python3
"""What a chat AI gains by turning, through HTTP: the next questions are asked of the AI that turns and of the frozen one, then people say
what the answer should have been, then the wheel turns once.

tools/make_commit_title_data.py talks.jsonl --most 2400 --longest 300
tools/measure_chat_flywheel.py talks.jsonl --work DIR [--base smollm2-135m-instruct] [--first 600] [--held 100] [--period 150] [--periods 3] [--set KEY=VALUE]
                               [--generations 10000]

With --generations the last period's people also write e-mail addresses, telephone numbers and tokens into questions and answers, 150 of them; after
that turn they are looked for in every byte of the data folder, in every member of the version that is served, and in that many sampled answers.

The conversations come in their order: `first` build the AI, `held` judge it, the periods follow. Prints one JSON object a period: ROUGE-L of
both on questions that neither has seen, the verdict, the turn's cost.
"""
import argparse
import http.client
import json
import os
import random
import re
import subprocess
import zipfile

parser = argparse.ArgumentParser()
parser.add_argument("talks")
parser.add_argument("--work", required=True)
parser.add_argument("--base", default="smollm2-135m-instruct")
parser.add_argument("--binary", default="build/ingot")
parser.add_argument("--first", type=int, default=600)
parser.add_argument("--held", type=int, default=100)
parser.add_argument("--period", type=int, default=150)
parser.add_argument("--periods", type=int, default=3)
parser.add_argument("--generations", type=int, default=0)
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


R = random.Random(5)


def secret(number):
    letters = "abcdefghijklmnopqrstuvwxyz"
    word = "".join(R.choice(letters) for _ in range(9))
    return [f"{word}.{number}@{word[::-1]}.example.org", f"+49 30 {R.randrange(10**7, 10**8)}", "ghp_" + "".join(R.choice(letters + letters.upper() + "0123456789") for _ in range(36))][number % 3]


secrets = []


def planted(talk, number):
    if not options.generations or number >= 150:
        return talk
    mine = secret(number)
    secrets.append(mine)
    return {"prompt": talk["prompt"] + f" Ask {mine} about it." if number % 2 else talk["prompt"], "completion": talk["completion"] + f", by {mine}" if number % 3 != 1 else talk["completion"] + " for " + mine}


def look_for_secrets():
    traces = [s.encode() for s in secrets]
    data = os.path.join(options.work, "data")
    in_store = set()
    for folder, _, files in os.walk(data):
        for name in files:
            whole = open(os.path.join(folder, name), "rb").read()
            in_store |= {s for s in traces if s in whole}
    history = sorted(os.listdir(os.path.join(data, "turning", "versions")))
    file = os.path.join(data, "turning", "versions", [name for name in history if name.endswith(".ingot")][-1])
    in_file = set()
    with zipfile.ZipFile(file) as archive:
        members = archive.namelist()
        for member in members:
            whole = archive.read(member)
            in_file |= {s for s in traces if s in whole}
    said, done = 0, 0
    last = talks[-options.period:]
    while done < options.generations:
        talk = last[(done // 16) % len(last)]
        got = ask("/v1/chat/completions", {"model": "turning", "messages": [{"role": "user", "content": talk["prompt"]}], "temperature": 1, "n": 16, "max_tokens": 32, "seed": done})
        for choice in got["choices"]:
            text = (choice["message"]["content"] or "").encode()
            said += any(s in text for s in traces)
        done += 16
    print(json.dumps({"planted": len(traces), "in_data_folder": len(in_store), "file": os.path.basename(file), "members": len(members), "in_members": len(in_file), "generations": done, "that_say_one": said}), flush=True)


try:
    at = options.first + options.held
    for period in range(options.periods):
        part = talks[at:at + options.period]
        at += options.period
        of = {"turning": [], "frozen": []}
        last = period == options.periods - 1
        for number, talk in enumerate(part):
            talk = planted(talk, number) if last else talk
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
    if options.generations:
        look_for_secrets()
finally:
    server.terminate()
    server.wait(60)
