#!/usr/bin/env python3
"""`ingot serve` on loopback in figures: concurrent streams, the share of the bare model's speed, fairness, start and size.

tools/measure_service.py MODEL [--part streams,overhead,fairness,start,classify,rails,adapters] [--streams 1,16,64,256] [--tokens 64] [--prompt-words 32]
                               [--binary build/ingot] [--cache GIB]
One JSON object a line. Each stream sends a prompt of its own and reads its answer to the end; a stream that ends otherwise than
with the tokens asked for counts as failed. The client reads bytes and no more, as it shares the machine with the service.
"""
import argparse
import json
import os
import random
import re
import selectors
import socket
import statistics
import subprocess
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--part", default="streams,overhead,fairness,start")
parser.add_argument("--streams", default="1,16,64,256")
parser.add_argument("--tokens", type=int, default=64)
parser.add_argument("--prompt-words", type=int, default=32)
parser.add_argument("--binary", default="build/ingot")
parser.add_argument("--cache", default="2")
options = parser.parse_args()
WORDS = ["river", "stone", "market", "letter", "engine", "garden", "winter", "signal"]


def say(**figures):
    print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}), flush=True)


class Server:
    def __init__(self, *arguments, data=None):
        start = time.perf_counter()
        self.process = subprocess.Popen([options.binary, "serve", *arguments, "--port", "0", "--cache", options.cache] + (["--data", data] if data else []), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(re.search(r"http://127.0.0.1:(\d+)", self.process.stdout.readline()).group(1))
        self.ready_s = time.perf_counter() - start

    def memory_mib(self, what="VmRSS"):
        return int(re.search(what + r":\s+(\d+)", open(f"/proc/{self.process.pid}/status").read()).group(1)) // 1024

    def thread_seconds(self):
        out = {}
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            try:
                fields = open(f"/proc/{self.process.pid}/task/{thread}/stat").read().rsplit(")", 1)[1].split()
            except OSError:  # it has ended
                continue
            out[thread] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return out

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)


class Stream:
    """One request; times of its tokens."""

    def __init__(self, port, number, model="m", tokens=None, key=None, words=None, question=False):
        choose = random.Random(number)
        prompt = " ".join(choose.choice(WORDS) for _ in range(words or options.prompt_words))
        if question:
            prompt = QUESTION.format(choose.randrange(1000), choose.choice(WORDS), choose.choice(WORDS))
        self.asked = tokens or options.tokens
        body = json.dumps({"model": model, "prompt": prompt, "max_tokens": self.asked, "temperature": 0, "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}})
        self.start = time.perf_counter()
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall((f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "") +
                             f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())
        self.socket.setblocking(False)
        self.pieces, self.times = [], []
        self.end = None

    def read(self):  # False once it is over
        data = self.socket.recv(1 << 16)
        if not data:
            self.end = time.perf_counter()
            self.socket.close()
            return False
        self.pieces.append(data)
        events = data.count(b"data: {")
        if events:
            now = time.perf_counter()
            self.times += [now] * events
        return True

    def first_s(self):
        return self.times[0] - self.start

    def made(self):  # None: it did not say
        found = re.search(rb'"completion_tokens":(\d+)', b"".join(self.pieces))
        return found and int(found.group(1))

    def good(self):
        return self.made() == self.asked and b"data: [DONE]" in b"".join(self.pieces)


def run(streams, again=None):
    """Reads all to their ends. again(stream): the one that follows it, or None."""
    done = []
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream.socket, selectors.EVENT_READ, stream)
        while selector.get_map():
            for key, _ in selector.select():
                stream = key.data
                selected = stream.socket
                try:
                    more = stream.read()
                except OSError:
                    stream.end, more = time.perf_counter(), False
                if more:
                    continue
                selector.unregister(selected)
                done.append(stream)
                if again and (following := again(stream)):
                    selector.register(following.socket, selectors.EVENT_READ, following)
    return done


def at(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def streams_part():
    with Server("m=" + options.model) as server:
        run([Stream(server.port, 10**6)])  # loads the model
        for count in map(int, options.streams.split(",")):
            start = time.perf_counter()
            done = run([Stream(server.port, n) for n in range(count)])
            wall = time.perf_counter() - start
            good = [s for s in done if s.good()]
            say(streams=count, failed=count - len(good), tokens_per_s=sum(s.asked for s in good) / wall, first_token_p50_s=at([s.first_s() for s in good], 0.5),
                first_token_p99_s=at([s.first_s() for s in good], 0.99), whole_mean_s=statistics.mean(s.end - s.start for s in good) if good else None)
        say(memory_after_mib=server.memory_mib(), peak_mib=server.memory_mib("VmHWM"))


def overhead_part(rounds=3, prompt=64, tokens=256, count=16):  # tokens: more than are made while the last prompt is read
    """Both decode 16 sequences from position 64 on; turn about, so that a busy minute hits both. And what the service's own threads take of the
    processor beside the two that compute, which a busy minute does not change."""
    ratios = []
    with Server("m=" + options.model) as server:
        run([Stream(server.port, 10**6)])
        for number in range(rounds):
            bare = json.loads(subprocess.run([options.binary, "bench", options.model, "--prompt", str(prompt), "--decode", str(tokens), "--batch", str(count), "--json"],
                                             capture_output=True, text=True, check=True).stdout)["batch"][0]["tokens_per_s"]
            before = server.thread_seconds()
            done = run([Stream(server.port, 1000 * number + n, tokens=tokens + 32, words=prompt) for n in range(count)])
            spent = sorted((t - before.get(thread, 0) for thread, t in server.thread_seconds().items()), reverse=True)
            computing = os.cpu_count()
            say(overhead_round=number, cpu_s_computing=sum(spent[:computing]), cpu_s_of_all_others=sum(spent[computing:]), share_of_others=sum(spent[computing:]) / sum(spent))
            assert all(s.good() for s in done)
            begin, end = max(s.times[0] for s in done), min(s.times[tokens] for s in done)  # while all of them decode
            served = sum(sum(begin < t <= end for t in s.times) for s in done) / (end - begin)
            ratios.append(served / bare)
            say(overhead_round=number, bare_tokens_per_s=bare, served_tokens_per_s=served, share=served / bare)
    say(overhead_median=1 - statistics.median(ratios))


def fairness_part(greedy=64, requests=24):
    """A polite client, one request after another: alone, beside one other, and beside a greedy one with 64 streams."""
    with tempfile.TemporaryDirectory() as data:
        keys = {name: subprocess.run([options.binary, "key", "new", name, "--data", data], capture_output=True, text=True, check=True).stdout.split()[-1] for name in ("polite", "greedy")}
        with Server("m=" + options.model, data=data) as server:
            run([Stream(server.port, 10**6, key=keys["polite"])])

            def polite(others):
                state = {"left": requests - 1, "over": False}
                firsts, failed = [], 0

                def again(stream):
                    nonlocal failed
                    if stream.name == "greedy":
                        if state["over"]:
                            return None
                        return make("greedy", random.randrange(10**9))
                    firsts.append(stream.first_s() if stream.times else float("inf"))
                    failed += not stream.good()
                    if state["left"] == 0:
                        state["over"] = True
                        return None
                    state["left"] -= 1
                    return make("polite", random.randrange(10**9))

                def make(name, number):
                    stream = Stream(server.port, number, tokens=32, key=keys[name])
                    stream.name = name
                    return stream

                run([make("greedy", n) for n in range(others)] + [make("polite", 77)], again)
                return firsts, failed

            for others in (0, 1, greedy):
                firsts, failed = polite(others)
                say(polite_beside=others, requests=len(firsts), failed=failed, first_token_p50_s=at(firsts, 0.5), first_token_p99_s=at(firsts, 0.99))


QUESTION = "What is the colour of stone {} in the {} of the {}?"
RAILS = ["topic=block", "injection=block", "private_data=mask", "repetition=block", "language=block", 'languages=["en"]', 'words=["secret project"]', "output.topic=watch", "output.repetition=watch"]


def rails_part(rounds=15, count=16):
    """Two AIs over MODEL from the same talks, one with every rail and one with none, turn about: alone, then `count` at once."""
    with tempfile.TemporaryDirectory() as folder:
        talks = os.path.join(folder, "talks.jsonl")
        with open(talks, "w") as file:
            for i in range(240):
                choose = random.Random(i)
                file.write(json.dumps({"question": QUESTION.format(i, choose.choice(WORDS), choose.choice(WORDS)), "answer": f"It is {choose.choice(['red', 'blue', 'green'])}."}) + "\n")
        ais = {}
        for name, rails in (("plain", []), ("railed", RAILS)):
            ais[name] = os.path.join(folder, name + ".ingot")
            settings = ["base=" + options.model, "name=" + name, "chat.max_steps=2", "chat.judged=1", "gate.beat_base=false"] + ["guard." + rail for rail in rails]
            subprocess.run([options.binary, "build", "recipes/chat", "--source", "jsonl:" + talks, "-o", ais[name]] + [w for one in settings for w in ("--set", one)], check=True, capture_output=True)
        figures = {(name, n): [] for name in ais for n in (1, count)}
        with Server(*ais.values()) as server:
            for number in range(-1, rounds):  # the first loads and is not counted
                for name in ais:
                    for n in (1, count):
                        start = time.perf_counter()
                        done = run([Stream(server.port, 1000 * number + i, model=name, question=True) for i in range(n)])
                        wall = time.perf_counter() - start
                        assert all(s.times for s in done), b"".join(done[0].pieces)
                        if number >= 0:
                            figures[name, n].append((statistics.median(s.first_s() for s in done), statistics.mean(s.end - s.start for s in done), sum(s.made() for s in done) / wall))
        for (name, n), found in figures.items():
            first, whole, rate = (statistics.median(column) for column in zip(*found))
            say(rails=name, streams=n, first_text_s=first, whole_s=whole, tokens_per_s=rate)
        say(throughput_share=statistics.median(r[2] / p[2] for r, p in zip(figures["railed", count], figures["plain", count])), streams=count,
            shares=[round(r[2] / p[2], 3) for r, p in zip(figures["railed", count], figures["plain", count])])


def adapters_part(rounds=9, count=16, ais=20):
    """MODEL is the base of one chat AI that is made here, its adapter of the usual shape; served `ais` times beside it. Memory and bytes on
    disk of them all, and `count` streams of the base, of one AI and of as many AIs, turn about."""
    with tempfile.TemporaryDirectory() as folder:
        talks, file = os.path.join(folder, "talks.jsonl"), os.path.join(folder, "ai.ingot")
        with open(talks, "w") as out:
            out.writelines(json.dumps({"question": QUESTION.format(i, WORDS[i % 8], WORDS[i % 7]), "answer": "It is red."}) + "\n" for i in range(80))
        settings = ["base=" + options.model, "chat.max_steps=2", "chat.judged=1", "gate.beat_base=false"]
        subprocess.run([options.binary, "build", "recipes/chat", "--source", "jsonl:" + talks, "-o", file] + [w for one in settings for w in ("--set", one)], check=True, capture_output=True)
        with Server("m=" + options.model, *(f"ai{n}={file}" for n in range(ais))) as server:
            anonymous = []
            for model in ["m"] + [f"ai{n}" for n in range(ais)]:
                run([Stream(server.port, 10**6, model=model, tokens=4)])
                anonymous.append(server.memory_mib("RssAnon"))
            rates = {"base": [], "one_ai": [], "many_ais": []}
            for number in range(rounds):
                for name in rates:
                    start = time.perf_counter()
                    done = run([Stream(server.port, 1000 * number + i, model={"base": "m", "one_ai": "ai0", "many_ais": f"ai{i % ais}"}[name]) for i in range(count)])
                    assert all(s.good() for s in done)
                    rates[name].append(sum(s.asked for s in done) / (time.perf_counter() - start))
        say(ais=ais, file_mb_each=os.path.getsize(file) / 1e6, base_anonymous_mib=anonymous[0], mib_each=(anonymous[-1] - anonymous[0]) / ais)
        say(streams=count, **{name + "_tokens_per_s": statistics.median(found) for name, found in rates.items()},
            one_share=statistics.median(a / b for a, b in zip(rates["one_ai"], rates["base"])), many_share=statistics.median(a / b for a, b in zip(rates["many_ais"], rates["base"])))


def start_part():
    readies, firsts = [], []
    for _ in range(5):
        with Server("m=" + options.model) as server:
            readies.append(server.ready_s)
            idle = server.memory_mib()
            (stream,) = run([Stream(server.port, 1, tokens=1)])
            firsts.append(stream.first_s())
            loaded = server.memory_mib()
    say(ready_s=statistics.median(readies), first_token_after_loading_s=statistics.median(firsts), idle_mib=idle, loaded_mib=loaded, binary_mb=os.path.getsize(options.binary) / 1e6)


def classify_part():
    """A triage or classify AI: one client, 500 texts: its own examples in turn, each with an end of its own so that none is asked twice."""
    import http.client
    lines = subprocess.run([options.binary, "inspect", options.model, "--member", "examples.jsonl"], check=True, capture_output=True, text=True).stdout.splitlines()
    texts = [json.loads(line)["input"] for line in lines]
    readies, spent = [], []
    for _ in range(5):
        with Server("m=" + options.model) as server:
            readies.append(server.ready_s)
    with Server("m=" + options.model) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port)
        for n in range(520):
            body = json.dumps({"input": texts[n % len(texts)] + f" seen {n} times"})
            start = time.perf_counter()
            client.request("POST", "/classify", body)
            client.getresponse().read()
            spent.append(time.perf_counter() - start)
        say(ready_s=statistics.median(readies), classify_p50_ms=1000 * at(spent[20:], 0.5), classify_p99_ms=1000 * at(spent[20:], 0.99), memory_mib=server.memory_mib(), file_mb=os.path.getsize(options.model) / 1e6)


for part in options.part.split(","):
    {"classify": classify_part, "streams": streams_part, "overhead": overhead_part, "fairness": fairness_part, "start": start_part, "rails": rails_part, "adapters": adapters_part}[part]()
