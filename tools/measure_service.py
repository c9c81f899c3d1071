#!/usr/bin/env python3
"""Concurrent streams against `ingot serve` on loopback: throughput, time to the first token, failures.

tools/measure_service.py MODEL [--streams 1,16,64,256] [--tokens 64] [--prompt-words 32] [--binary build/ingot] [--cache GIB]
Each stream sends one prompt of its own and reads its answer to the end; tokens are what the service's usage says.
"""
import argparse
import asyncio
import json
import random
import re
import statistics
import subprocess
import time

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--streams", default="1,16,64,256")
parser.add_argument("--tokens", type=int, default=64)
parser.add_argument("--prompt-words", type=int, default=32)
parser.add_argument("--binary", default="build/ingot")
parser.add_argument("--cache", default="2")
options = parser.parse_args()


async def stream(port, number, model):
    words = random.Random(number)
    prompt = " ".join(words.choice(["river", "stone", "market", "letter", "engine", "garden", "winter", "signal"]) for _ in range(options.prompt_words))
    body = json.dumps({"model": model, "prompt": prompt, "max_tokens": options.tokens, "temperature": 0, "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}})
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    await writer.drain()
    first, tokens, done = None, 0, False
    async for line in reader:
        if line.startswith(b"data: ") and first is None:
            first = time.perf_counter() - start
        if b'"completion_tokens":' in line:
            tokens = int(re.search(rb'"completion_tokens":(\d+)', line).group(1))
        if line.startswith(b"data: [DONE]"):
            done = True
            break
    writer.close()
    return first, tokens, done and tokens == options.tokens, time.perf_counter() - start


async def measure(port, count, model):
    start = time.perf_counter()
    results = await asyncio.gather(*(stream(port, number, model) for number in range(count)), return_exceptions=True)
    wall = time.perf_counter() - start
    good = [r for r in results if not isinstance(r, Exception) and r[2]]
    firsts = sorted(r[0] for r in good)
    at = lambda share: firsts[min(len(firsts) - 1, int(share * len(firsts)))] if firsts else float("nan")
    tokens = sum(r[1] for r in good)
    print(json.dumps({"streams": count, "failed": count - len(good), "tokens": tokens, "wall_s": round(wall, 2), "tokens_per_s": round(tokens / wall, 1),
                      "first_token_p50_s": round(at(0.5), 3), "first_token_p99_s": round(at(0.99), 3),
                      "whole_mean_s": round(statistics.mean(r[3] for r in good), 2) if good else None}), flush=True)


server = subprocess.Popen([options.binary, "serve", "m=" + options.model, "--port", "0", "--cache", options.cache], stdout=subprocess.PIPE, text=True)
try:
    port = int(re.search(r"http://127.0.0.1:(\d+)", server.stdout.readline()).group(1))
    asyncio.run(stream(port, 10**6, "m"))  # loads the model
    for count in map(int, options.streams.split(",")):
        asyncio.run(measure(port, count, "m"))
    pages = open(f"/proc/{server.pid}/status").read()
    print(json.dumps({"memory_mib": int(re.search(r"VmRSS:\s+(\d+)", pages).group(1)) // 1024}))
finally:
    server.terminate()
    server.wait(60)
