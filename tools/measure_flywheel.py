#!/usr/bin/env python3
"""What the flywheel gains and withstands, measured through HTTP on a time-ordered bug stream.

ingot data debs:recipes/triage/debian.list --write d.csv --split 0.8
tools/measure_flywheel.py d_train.csv d_test.csv --work DIR [--parts replay,poison,flood,private,kill,promotion] [--rows N] [--periods N]

The oldest 60 % of the rows build the AI, the next 10 % are its held-out part, the rest come in as a stream: each period's bugs are asked
first, of the AI that turns and of the frozen one, then corrected by five keys in turn, then the wheel turns once. Results are printed and
written to DIR/flywheel.json, flywheel.csv and flywheel.svg.
"""
import argparse
import csv
import http.client
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("files", nargs="+")
parser.add_argument("--work", required=True)
parser.add_argument("--binary", default="build/ingot")
parser.add_argument("--parts", default="replay,poison,flood,private,kill,promotion")
parser.add_argument("--rows", type=int, default=0, help="the newest rows that are used; 0: all")
parser.add_argument("--periods", type=int, default=12)
parser.add_argument("--kills", type=int, default=100)
parser.add_argument("--streams", type=int, default=64)
options = parser.parse_args()
ingot = os.path.abspath(options.binary)
os.makedirs(options.work, exist_ok=True)
os.environ["XDG_DATA_HOME"] = os.path.join(os.path.abspath(options.work), "xdg")
results = {}


def rows_of(files):
    rows = []
    for name in files:
        with open(name, newline="") as file:
            rows += list(csv.DictReader(file))
    return rows


def column(row, *names):
    for name in names:
        if name in row:
            return row[name]
    return ""


def epoch(text):
    if text.isdigit():
        return int(text)
    from datetime import datetime, timezone
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"):
        try:
            made = datetime.strptime(text, form)
            return int((made if made.tzinfo else made.replace(tzinfo=timezone.utc)).timestamp())
        except ValueError:
            pass
    raise SystemExit(f"a time that is not known: {text}")


bugs = [{"id": column(r, "Bug ID", "id"), "engineer": column(r, "Assignee", "engineer"), "component": column(r, "Component", "component"), "text": r["text"], "time": epoch(r["time"])}
        for r in rows_of(options.files)]
bugs.sort(key=lambda bug: bug["time"])
if options.rows:
    bugs = bugs[-options.rows:]


def write(name, part):
    with open(name, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "engineer", "component", "text", "time"])
        for bug in part:
            out.writerow([bug["id"], bug["engineer"], bug["component"], bug["text"], bug["time"]])


def build(folder, train, test):
    os.makedirs(folder, exist_ok=True)
    write(f"{folder}/train.csv", train)
    write(f"{folder}/test.csv", test)
    with open(f"{folder}/recipe.toml", "w") as file:
        file.write('name = "bugs"\nkind = "triage"\nbase = "none"\n[train]\nablation = false\n[guard]\nprivate_data = "mask"\n[serve]\nflywheel = false\n')
    subprocess.run([ingot, "build", folder, "--source", f"csv:{folder}/train.csv", "--test", f"csv:{folder}/test.csv",
                    "--map", "id=id,engineer=engineer,component=component,text=text,time=time", "-o", f"{folder}/bugs.ingot"], check=True, stdout=subprocess.DEVNULL)
    return f"{folder}/bugs.ingot"


class Service:
    def __init__(self, folder, file, extra=()):
        self.data = f"{folder}/data"
        with open(f"{folder}/site.toml", "w") as site:
            site.write("[flywheel]\nturn = false\nnice = 0\n")
        self.process = subprocess.Popen([ingot, "serve", file, *extra, "--data", self.data, "--site", f"{folder}/site.toml", "--port", "0"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        line = self.process.stdout.readline()
        self.port = int(line.rsplit(":", 1)[1])

    def ask(self, path, body=None, key=None, connection=None):
        own = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        if own.sock is None:
            own.connect()
            own.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        own.request("POST" if body is not None else "GET", path, json.dumps(body) if body is not None else None,
                    {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})})
        answer = own.getresponse()
        text = answer.read()
        return answer.status, json.loads(text), answer

    def turn(self, key=None):
        status, body, _ = self.ask("/v1/fly", {"model": "bugs"}, key)
        assert status == 202, body
        while True:
            _, now, _ = self.ask("/v1/fly", key=key)
            if not now["turning"]:
                return now["turns"]["bugs"]
            time.sleep(0.1)

    def kill(self):  # the service and its turn
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait()


def key(data, name, scope):
    return subprocess.run([ingot, "key", "new", name, "--scope", scope, "--data", data], check=True, capture_output=True, text=True).stdout.strip()


def hits(service, model, part, admin):
    first = five = 0
    ids, said = [], []
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=600)
    for bug in part:
        _, body, _ = service.ask("/classify", {"model": model, "input": bug["text"]}, admin, connection)
        names = [one["name"] for one in body["data"][0]["engineers"]]
        first += names[:1] == [bug["engineer"]]
        five += bug["engineer"] in names[:5]
        ids.append(body["id"])
        said.append(names[:1])
    return first, five, ids, said


def replay(folder, periods, poison=0.0, flood=0):
    """Returns a row a period. poison: share of key 3's corrections that name a wrong person; flood: wrong records of key 5 in period 3."""
    shutil.rmtree(folder, ignore_errors=True)
    cut = [int(len(bugs) * share) for share in (0.6, 0.7)]
    file = build(folder, bugs[:cut[0]], bugs[cut[0]:cut[1]])
    shutil.copy(file, f"{folder}/frozen.ingot")
    os.makedirs(f"{folder}/data", exist_ok=True)
    admin = key(f"{folder}/data", "owner", "admin")
    keys = [key(f"{folder}/data", f"key{i}", "feedback") for i in range(1, 6)]
    service = Service(folder, file, [f"frozen={folder}/frozen.ingot"])
    stream = bugs[cut[1]:]
    dice = random.Random(1)
    names = sorted({bug["engineer"] for bug in bugs[:cut[0]]})
    table, poisoned = [], set()
    for period in range(periods):
        part = stream[len(stream) * period // periods:len(stream) * (period + 1) // periods]
        frozen = hits(service, "frozen", part, admin)
        live = hits(service, "bugs", part, admin)
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=600)
        for i, bug in enumerate(part):
            name, wrong = bug["engineer"], False
            if i % 5 == 2 and dice.random() < poison:
                name, wrong = names[len(names) // 2], True
            status, body, _ = service.ask("/v1/feedback", {"id": live[2][i], "label": {"engineer": name, "component": bug["component"]}, "time": bug["time"]}, keys[i % 5], connection)
            if status == 404:  # a text of over a megabyte is not remembered
                continue
            assert status == 202, body
            if wrong:
                poisoned.add(body["id"])
        if flood and period == 2:
            for i in range(flood):
                bug = dice.choice(bugs[:cut[0]])
                words = bug["text"].split()
                dice.shuffle(words)
                status, body, _ = service.ask("/v1/feedback", {"model": "bugs", "input": " ".join(words), "label": names[0]}, keys[4], connection)
                poisoned.add(body["id"])
        report = service.turn(admin)
        row = {"period": period + 1, "until": time.strftime("%Y-%m-%d", time.gmtime(part[-1]["time"])), "bugs": len(part), "frozen_top1": frozen[0] / len(part), "turning_top1": live[0] / len(part),
               "frozen_top5": frozen[1] / len(part), "turning_top5": live[1] / len(part), "promoted": report["promoted"], "kept": report["kept"],
               "dropped": sum(report["dropped"].values()), "held": sum(report["held"].values()), "seconds": report.get("cost", {}).get("seconds"), "cpu_seconds": report.get("cost", {}).get("cpu_seconds"),
               "peak_mib": report.get("cost", {}).get("peak_mib")}
        table.append(row)
        print(f"  {row['until']}  {row['bugs']:4} bugs  frozen {100 * row['frozen_top1']:5.1f}  turning {100 * row['turning_top1']:5.1f}  kept {row['kept']:5} held {row['held']:4}  "
              f"{row['seconds'] or 0:5.1f} s, {row['cpu_seconds'] or 0:5.1f} s of processor  {report['verdict'][:150]}", flush=True)
    service.stop()
    records = sqlite3.connect(f"{folder}/data/ingot.db")
    served = records.execute("SELECT number FROM fly_current WHERE model='bugs'").fetchone()[0]
    learnt = {row[0] for row in records.execute("SELECT f.receipt FROM fly_learnt l JOIN feedback f ON f.id=l.feedback WHERE l.model='bugs' AND l.number=?", (served,))}
    return table, len(poisoned), len(poisoned & learnt), len(learnt)


def total(table, what):
    return sum(row[what] * row["bugs"] for row in table) / sum(row["bugs"] for row in table)


def picture(series, name):
    colours = {"frozen": "#888", "turning": "#06c", "turning, one key poisons 20 %": "#c60", "turning, a flood in period 3": "#080"}
    width, height, left, bottom = 640, 300, 50, 40
    top = max(max(values) for values in series.values()) * 1.1
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">', f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for step in range(0, 6):
        y = height - bottom - (height - bottom - 20) * step / 5
        out.append(f'<path d="M{left} {y:.0f}H{width - 10}" stroke="#ddd"/><text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{100 * top * step / 5:.0f} %</text>')
    for at, (label, values) in enumerate(series.items()):
        points = " ".join(f"{left + (width - left - 20) * i / max(len(values) - 1, 1):.1f},{height - bottom - (height - bottom - 20) * v / top:.1f}" for i, v in enumerate(values))
        out.append(f'<polyline points="{points}" fill="none" stroke="{colours[label]}" stroke-width="2"/><text x="{left + 8 + 300 * (at % 2)}" y="{height - 18 + 14 * (at // 2)}" fill="{colours[label]}">{label}</text>')
    out.append("</svg>")
    with open(name, "w") as file:
        file.write("\n".join(out) + "\n")


def small(folder, rows=1500):
    """A small AI whose turn is short, from the newest rows."""
    shutil.rmtree(folder, ignore_errors=True)
    part = bugs[-rows:]
    file = build(folder, part[:int(rows * 0.6)], part[int(rows * 0.6):int(rows * 0.75)])
    return file, part[int(rows * 0.75):]


parts = options.parts.split(",")
series = {}
for part, arguments in (("replay", {}), ("poison", {"poison": 0.2}), ("flood", {"flood": 3000})):
    if part not in parts:
        continue
    print(f"{part}:", flush=True)
    table, wrong, learnt_wrong, learnt = replay(f"{options.work}/{part}", options.periods, **arguments)
    results[part] = {"periods": table, "wrong_sent": wrong, "wrong_learnt": learnt_wrong, "learnt": learnt, **{f"{who}_{what}": total(table, f"{who}_{what}") for who in ("frozen", "turning") for what in ("top1", "top5")}}
    print(f"  all: top-1 frozen {100 * results[part]['frozen_top1']:.1f} %, turning {100 * results[part]['turning_top1']:.1f} %; top-5 {100 * results[part]['frozen_top5']:.1f} and "
          f"{100 * results[part]['turning_top5']:.1f} %; wrong records sent {wrong}, learnt by the version served at the end {learnt_wrong} of {learnt}", flush=True)
    if part == "replay":
        series["frozen"] = [row["frozen_top1"] for row in table]
        with open(f"{options.work}/flywheel.csv", "w", newline="") as file:
            out = csv.DictWriter(file, table[0].keys())
            out.writeheader()
            out.writerows(table)
    series[{"replay": "turning", "poison": "turning, one key poisons 20 %", "flood": "turning, a flood in period 3"}[part]] = [row["turning_top1"] for row in table]
if series:
    picture(series, f"{options.work}/flywheel.svg")

if "private" in parts:
    folder = f"{options.work}/private"
    file, stream = small(folder)
    service = Service(folder, file)
    dice = random.Random(2)
    secrets = []
    for i, bug in enumerate(stream):
        token = "".join(dice.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") for _ in range(36))
        secret = [f"{dice.choice(['zoe', 'wim', 'uma'])}.{dice.randrange(10**6)}@mail{dice.randrange(999)}.example.org", f"+49 30 {dice.randrange(10**6, 10**7)}", f"ghp_{token}"][i % 3]
        secrets.append(secret)
        assert service.ask("/v1/feedback", {"model": "bugs", "input": bug["text"] + f" ({secret})", "label": {"engineer": bug["engineer"], "component": bug["component"]}, "time": bug["time"], "user": secret})[0] == 202
    report = service.turn()
    service.stop()
    found = set()
    for root, _, names in os.walk(f"{folder}/data"):
        for name in names:
            with open(os.path.join(root, name), "rb") as held:
                content = held.read()  # members are stored, not compressed: the file's bytes are theirs
            found |= {secret for secret in secrets if secret.encode() in content}
    results["private"] = {"planted": len(secrets), "found": len(found), "promoted": report["promoted"], "examples": sorted(found)[:5]}
    print(f"private: {len(secrets)} planted, {len(found)} found in the store and {'the promoted version' if report['promoted'] else 'no version was promoted'}: {report['verdict'][:120]}", flush=True)

if "kill" in parts:
    folder = f"{options.work}/kill"
    file, stream = small(folder, 600)
    acknowledged, broken, unknown, took, ended = set(), 0, 0, 2.0, 0
    dice = random.Random(3)
    for number in range(options.kills + 1):
        service = Service(folder, file)
        version = service.ask("/classify", {"input": stream[0]["text"]})[1]["ai"]
        row = sqlite3.connect(f"{folder}/data/ingot.db").execute("SELECT v.hash, v.file FROM fly_current c JOIN fly_version v ON v.model=c.model AND v.number=c.number").fetchone()
        unknown += row[0] != version
        broken += subprocess.run([ingot, "verify", f"{folder}/data/{row[1]}"], capture_output=True).returncode != 0
        for _ in range(3):
            bug = dice.choice(stream)
            status, body, _ = service.ask("/v1/feedback", {"model": "bugs", "input": bug["text"] + f" case {dice.randrange(10**9)}", "label": bug["engineer"], "user": f"user{dice.randrange(4)}"})
            if status == 202:
                acknowledged.add(body["id"])
        if number == 0:
            start = time.time()
            service.turn()
            took = time.time() - start
        else:
            service.ask("/v1/fly", {"model": "bugs"})
            time.sleep(took * dice.uniform(0.02, 1.1))
            ended += not service.ask("/v1/fly")[1]["turning"]
        service.kill()
    present = {row[0] for row in sqlite3.connect(f"{folder}/data/ingot.db").execute("SELECT receipt FROM feedback")}
    results["kill"] = {"kills": options.kills, "after_the_turn": ended, "acknowledged": len(acknowledged), "lost": len(acknowledged - present), "served_but_not_named": unknown, "broken_versions": broken, "turn_seconds": took}
    print(f"kill: {options.kills} kills ({ended} just after the turn's end), {len(acknowledged)} acknowledged, {len(acknowledged - present)} lost, {broken} broken versions, {unknown} served unnamed", flush=True)

if "promotion" in parts:
    folder = f"{options.work}/promotion"
    file, stream = small(folder, 3000)
    service = Service(folder, file)
    # So few that the turn is judged by the held-out part and by whether they are learnt: it is promoted, and there is a switch to measure.
    for i, bug in enumerate(stream[:40]):
        service.ask("/v1/feedback", {"model": "bugs", "input": bug["text"], "label": {"engineer": bug["engineer"], "component": bug["component"]}, "user": f"user{i % 5}", "time": bug["time"]})
    stop, lock = threading.Event(), threading.Lock()
    log, dropped, mixed, answers = [], 0, 0, {}
    question = stream[0]["text"]

    def client():
        global dropped, mixed
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        while not stop.is_set():
            start = time.time()
            try:
                status, body, answer = service.ask("/classify", {"input": question}, connection=connection)
            except (OSError, http.client.HTTPException):
                with lock:
                    dropped += 1
                connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
                continue
            with lock:
                dropped += status != 200
                mixed += answer.headers["X-Ingot-AI"] != body.get("ai")
                log.append((start, time.time() - start, body.get("ai")))
                answers.setdefault(body.get("ai"), set()).add(json.dumps(body["data"][0]["probs"]))
            time.sleep(0.05)

    threads = [threading.Thread(target=client) for _ in range(options.streams)]
    for thread in threads:
        thread.start()
    time.sleep(8)
    began = time.time()
    report = service.turn()
    time.sleep(4)
    stop.set()
    for thread in threads:
        thread.join()
    service.stop()
    first = report["champion"]["hash"]
    switched = min([at for at, _, ai in log if ai != first], default=0)

    def p99(rows):
        rows = sorted(rows)
        return 1000 * rows[int(len(rows) * 0.99)] if rows else None

    quiet = [took for at, took, _ in log if began - 6 < at < began]
    turning = [took for at, took, _ in log if began <= at < switched - 1]
    around = [took for at, took, _ in log if abs(at - switched) <= 1]
    results["promotion"] = {"streams": options.streams, "requests": len(log), "promoted": report["promoted"], "dropped": dropped, "mixed": mixed + sum(len(said) > 1 for said in answers.values()), "versions": len(answers),
                            "p99_ms_before": p99(quiet), "p99_ms_while_training": p99(turning), "p99_ms_around_the_switch": p99(around)}
    print(f"promotion: {json.dumps(results['promotion'])}  {report['verdict'][:100]}", flush=True)

with open(f"{options.work}/flywheel.json", "w") as file:
    json.dump(results, file, indent=1)
