#!/usr/bin/env python3
"""Measures topic rails and the router on intent data with domains, such as CLINC150 (CC BY 3.0; not shipped here).

measure_guard.py INGOT data_full.json domains.json FOLDER [--set KEY=VALUE]... builds one AI a domain from its own training
text only, asks every AI every test question, and prints: on-topic kept, other domains and out-of-scope stopped (also for the
domain that is confused most), questions routed to the right AI, and milliseconds a check.
"""
import csv
import json
import math
import os
import subprocess
import sys


def wilson(hits, total, z=1.96):
    if not total:
        return 0, 0, 1
    p = hits / total
    middle, half = p + z * z / (2 * total), z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return p, (middle - half) / (1 + z * z / total), (middle + half) / (1 + z * z / total)


def show(name, hits, total):
    p, low, high = wilson(hits, total)
    print(f"{name:<34} {100 * p:6.2f} % (95 %: {100 * low:.2f} to {100 * high:.2f}) of {total}")


def ask(command, questions):
    done = subprocess.run(command, input="\n".join(questions) + "\n", capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    ingot, data, domains, folder = sys.argv[1:5]
    rest = sys.argv[5:]
    part = "val" if "--val" in rest else "test"  # --val: the development part, for choices
    settings = [word for word in rest if word != "--val"]
    data, domains = json.load(open(data)), json.load(open(domains))
    of = {intent: domain for domain, intents in domains.items() for intent in intents}
    os.makedirs(folder, exist_ok=True)
    files = {}
    for domain in sorted(domains):
        source, files[domain] = os.path.join(folder, domain + ".csv"), os.path.join(folder, domain + ".ingot")
        with open(source, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows([text, intent] for text, intent in data["train"] if of[intent] == domain)
        subprocess.run([ingot, "build", "recipes/classify", "--source", "csv:" + source, "--map", "text=text,label=label", "--set", "guard.topic=block",
                        "--set", "name=" + domain, "-o", files[domain]] + settings, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    asked = [(text, of[intent]) for text, intent in data[part]] + [(text, None) for text, _ in data["oos_" + part]]
    questions = [text for text, _ in asked]
    kept = [0, 0]
    stopped = {"other domains": [0, 0], "out of scope": [0, 0], "nearest neighbouring domain": [0, 0]}
    times = []
    for domain, file in files.items():
        verdicts = ask([ingot, "guard", "check", file, "--json"], questions)
        times += [verdict["ms"] for verdict in verdicts]
        own, others = [0, 0], {}
        for (_, right), verdict in zip(asked, verdicts):
            if right == domain:
                own[0] += verdict["allowed"]
                own[1] += 1
            else:
                count = others.setdefault(right, [0, 0])
                count[0] += not verdict["allowed"]
                count[1] += 1
        kept = [kept[0] + own[0], kept[1] + own[1]]
        out = others.pop(None)
        near = min(others, key=lambda name: others[name][0] / others[name][1])
        for name, count in (("out of scope", out), ("nearest neighbouring domain", others[near]), ("other domains", [sum(c[i] for c in others.values()) for i in (0, 1)])):
            stopped[name] = [stopped[name][i] + count[i] for i in (0, 1)]
        print(f"  {domain:<22} kept {100 * own[0] / own[1]:5.1f} %, others stopped {100 * sum(c[0] for c in others.values()) / sum(c[1] for c in others.values()):5.1f} %, "
              f"out of scope stopped {100 * out[0] / out[1]:5.1f} %, weakest against {near} ({100 * others[near][0] / others[near][1]:.1f} %)", flush=True)
    show("on-topic kept", *kept)
    show("other domains + out of scope stopped", *[stopped["other domains"][i] + stopped["out of scope"][i] for i in (0, 1)])
    for name, count in stopped.items():
        show("  " + name + " stopped", *count)
    times.sort()
    print(f"milliseconds a check: median {times[len(times) // 2]:.3f}, p99 {times[len(times) * 99 // 100]:.3f}")
    routes = ask([ingot, "route", *files.values(), "--json"], questions)
    inside = [(right, answer) for (_, right), answer in zip(asked, routes) if right]
    show("routed to the right AI", sum(answer["ai"] == right for right, answer in inside), len(inside))
    show("  right AI has the highest score", sum(max(answer["scores"], key=answer["scores"].get) == right for right, answer in inside), len(inside))
    show("out of scope routed to none", sum(answer["ai"] is None for (_, right), answer in zip(asked, routes) if not right), sum(not right for _, right in asked))


main()
