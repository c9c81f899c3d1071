#!/usr/bin/env python3
"""Mixed load on `ingot serve` for a while: clients that vanish, AIs that swap in and out of a small memory, versions that replace each
other, `kill -9` and restarts. Every whole answer is compared with the one that the same version gave alone.

tools/soak_service.py BASE [--minutes 10] [--clients 12] [--binary build/ingot] [--ais 3]
BASE: a chat model, such as smollm2-135m-instruct. The AIs over it are built here, in a few steps each. Prints one JSON object a minute
and a verdict; exit code 1 for a wrong answer, a leaked slot or memory that grows.
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("base")
parser.add_argument("--minutes", type=float, default=10)
parser.add_argument("--clients", type=int, default=12)
parser.add_argument("--ais", type=int, default=3)
parser.add_argument("--binary", default="build/ingot")
parser.add_argument("--memory", default="0.55", help="GiB for all models: too little for everything at once")
options = parser.parse_args()
folder = pathlib.Path(tempfile.mkdtemp())
COLOURS = ["red", "blue", "green", "black", "white", "amber"]


def build(name, seed):
    data = folder / f"{name}{seed}.jsonl"
    data.write_text("".join(json.dumps({"question": f"What is the colour of stone {i}?", "answer": f"{COLOURS[seed % 6]} {i % 3}"}) + "\n" for i in range(24)))
    out = folder / f"{name}.v{seed}.ingot"
    settings = ["base=" + options.base, "name=" + name, "chat.max_steps=2", "chat.batch=4", "chat.judged=1", "chat.rate=5e-3", "chat.rank=4", "gate.beat_base=false", f"train.seed={seed}"]
    subprocess.run([options.binary, "build", "recipes/chat", "--source", f"jsonl:{data}", "-o", str(out)] + [w for s in settings for w in ("--set", s)], check=True, capture_output=True, text=True)
    return out


class Server:
    def __init__(self, *models):
        self.process = subprocess.Popen([options.binary, "serve", *models, "--port", "0", "--memory", options.memory, "--cache", "0.25", "--data", str(folder / "data")],
                                        stdout=subprocess.PIPE, stderr=open(folder / "log", "a"), text=True)
        self.port = int(re.search(r"http://127.0.0.1:(\d+)", self.process.stdout.readline()).group(1))

    def ask(self, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("X-Ingot-AI"), answer.read()

    def memory_mib(self):
        return int(re.search(r"RssAnon:\s+(\d+)", open(f"/proc/{self.process.pid}/status").read()).group(1)) // 1024


QUESTIONS = [f"What is the colour of {what}?" for what in ("stone 1", "the sky", "grass", "a ripe lemon", "coal")]


def body_of(model, question):
    return {"model": model, "messages": [{"role": "user", "content": question}], "max_tokens": 16, "temperature": 0}


names = [f"ai{i}" for i in range(options.ais)]
versions = {name: [build(name, 2 * i + 1), build(name, 2 * i + 2)] for i, name in enumerate(names)}
live = {name: folder / f"{name}.ingot" for name in names}


def install(name, which):
    fresh = folder / f".{name}.next"
    shutil.copyfile(versions[name][which], fresh)
    os.replace(fresh, live[name])


# What each version says alone.
expected = {}
for which in (0, 1):
    for name in names:
        install(name, which)
    alone = Server(*map(str, live.values()), "base=" + options.base)
    for name in names + ["base"]:
        for question in QUESTIONS:
            status, ai, text = alone.ask("/v1/chat/completions", body_of(name, question))
            assert status == 200, text
            expected[ai, question] = json.loads(text)["choices"][0]["message"]["content"]
    alone.process.terminate()
    alone.process.wait()
print(json.dumps({"versions": len({ai for ai, _ in expected}), "different_answers": len(set(expected.values()))}), flush=True)

server = Server(*map(str, live.values()), "base=" + options.base)
counts = {"right": 0, "wrong": 0, "vanished": 0, "refused_busy": 0, "lost_by_kill": 0, "failed": 0, "replaced": 0, "rolled_back": 0, "killed": 0}
lock = threading.Lock()
over = threading.Event()
down = threading.Event()


def count(what):
    with lock:
        counts[what] += 1


def client(number):
    chance = random.Random(number)
    while not over.is_set():
        name, question = chance.choice(names + ["base"]), chance.choice(QUESTIONS)
        body = body_of(name, question)
        process = server.process
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=90)
            vanish, body["stream"] = chance.random() < 0.25, chance.random() < 0.5
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
            if vanish:
                if chance.random() < 0.5:
                    time.sleep(chance.random() * 0.3)
                connection.close()
                count("vanished")
                continue
            answer = connection.getresponse()
            ai, text = answer.headers.get("X-Ingot-AI"), answer.read()
            if answer.status in (429, 503):
                count("refused_busy")
                time.sleep(0.2)
                continue
            if body["stream"]:
                events = [json.loads(line[6:]) for line in text.decode().split("\n") if line.startswith("data: {")]
                said = "".join(e["choices"][0]["delta"].get("content", "") for e in events if e.get("choices"))
                assert b"[DONE]" in text
            else:
                said = json.loads(text)["choices"][0]["message"]["content"]
            if expected[ai, question] == said:
                count("right")
            else:
                count("wrong")
                print(json.dumps({"wrong": said, "right": expected[ai, question], "model": name, "ai": ai, "question": question}), flush=True)
        except Exception as error:
            if down.is_set() or process is not server.process or process.poll() is not None:
                count("lost_by_kill")
                time.sleep(0.2)
            else:
                count("failed")
                print(json.dumps({"failed": repr(error)}), flush=True)


def settled_metrics():
    for _ in range(100):
        text = server.ask("/metrics")[2].decode()
        busy = [float(v) for v in re.findall(r"^vllm:num_requests_(?:running|waiting)\{[^}]*\} (\S+)", text, re.M)]
        if not any(busy):
            return sum(busy), float(re.search(r"^ingot_requests_running (\S+)", text, re.M).group(1)), max([float(v) for v in re.findall(r"^vllm:kv_cache_usage_perc\{[^}]*\} (\S+)", text, re.M)] or [0])
        time.sleep(0.1)
    return sum(busy), -1, -1


threads = [threading.Thread(target=client, args=(n,), daemon=True) for n in range(options.clients)]
for thread in threads:
    thread.start()
began, chance, memory, which = time.time(), random.Random(5), [], {name: 1 for name in names}
next_kill, next_line = began + options.minutes * 60 * 0.4, began + 60
while time.time() - began < options.minutes * 60:
    time.sleep(3)
    name = chance.choice(names)
    if chance.random() < 0.7:
        which[name] ^= 1
        install(name, which[name])
        status, _, text = server.ask("/v1/reload", {})
        assert status == 200, text
        count("replaced")
    else:
        counts["rolled_back"] += server.ask("/v1/rollback", {"model": name})[0] == 200
    if time.time() > next_kill:
        next_kill += options.minutes * 60 * 0.4
        down.set()
        server.process.kill()
        server.process.wait()
        server = Server(*map(str, live.values()), "base=" + options.base)
        count("killed")
        memory = []
        time.sleep(1)
        down.clear()
    memory.append(server.memory_mib())
    if time.time() > next_line:
        next_line += 60
        print(json.dumps({"minute": round((time.time() - began) / 60, 1), **counts, "anon_mib": memory[-1]}), flush=True)
over.set()
for thread in threads:
    thread.join(120)
running, requests, used = settled_metrics()
third = max(1, len(memory) // 3)
first, last = max(memory[third:2 * third] or memory), max(memory[-third:])
verdict = {"minutes": options.minutes, **counts, "leaked_sequences": running, "requests_running": requests - 1, "cache_in_use": used, "anon_mib_middle": first, "anon_mib_end": last}
server.process.terminate()
verdict["exit_code"] = server.process.wait(60)
shutil.rmtree(folder)
print(json.dumps(verdict), flush=True)
sys.exit(1 if counts["wrong"] or counts["failed"] or running or requests != 1 or used or last > first * 1.1 + 8 else 0)
