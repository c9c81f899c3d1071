#!/usr/bin/env python3
"""Measures the private data rail, per kind: on generated records, and planted into real text.

measure_private_data.py INGOT REAL_TEXT FOLDER [--records N]: REAL_TEXT has one text a line (tools/collect_ordinary_text.py).
Builds a small AI that watches private data, asks `ingot guard check` about every text, and prints recall and precision. What
is found in real text without a plant is counted apart and shown: some of it is real (addresses of authors).
"""
import argparse
import csv
import json
import os
import random
import re
import subprocess

R = random.Random(7)


def digits(n, first="0123456789"):
    return R.choice(first) + "".join(R.choice("0123456789") for _ in range(n - 1))


def luhn_digit(body):
    total = 0
    for i, c in enumerate(reversed(body)):
        v = int(c) * (2 if i % 2 == 0 else 1)
        total += v - 9 if v > 9 else v
    return str(-total % 10)


def grouped(text, sizes, by):
    parts, at = [], 0
    for size in sizes:
        parts.append(text[at:at + size])
        at += size
    return by.join(parts + ([text[at:]] if at < len(text) else []))


FIRST = "anna tom maria peter li chen omar fatima ivan olga jean claire lars ingrid paolo giulia ana joao".split()
LAST = "meier smith keller brown rossi novak garcia silva tanaka kim olsen dupont fischer walker horvat lopez".split()


def email():
    user = R.choice(["{f}.{l}", "{f}{l}", "{f}_{l}{n}", "{f}+news", "{l}{n}"]).format(f=R.choice(FIRST), l=R.choice(LAST), n=R.randrange(100))
    return user + "@" + R.choice(["example.com", "mail.example.org", "uni-example.de", "example.co.uk", "corp.example.io"])


def phone():
    return R.choice([lambda: f"+49 {digits(3, '1')} {digits(7)}", lambda: f"+1 {digits(3, '23456789')} {digits(3)} {digits(4)}", lambda: f"({digits(3, '23456789')}) {digits(3)}-{digits(4)}",
                     lambda: f"+44 20 {digits(4)} {digits(4)}", lambda: f"{digits(3, '23456789')}-{digits(3)}-{digits(4)}", lambda: f"+86 1{digits(2)} {digits(4)} {digits(4)}", lambda: f"0{digits(2, '1')} {digits(8)}",
                     lambda: f"+33 6 {digits(2)} {digits(2)} {digits(2)} {digits(2)}"])()


def card():
    prefix, size = R.choice([("4", 16), ("51", 16), ("55", 16), ("34", 15), ("37", 15), ("6011", 16), ("2221", 16)])
    body = prefix + digits(size - 1 - len(prefix))
    full = body + luhn_digit(body)
    return R.choice([full, grouped(full, (4, 6, 5) if size == 15 else (4, 4, 4, 4), R.choice(" -"))])


def iban():
    country, shape = R.choice([("DE", "d18"), ("FR", "d23"), ("GB", "a4d14"), ("NL", "a4d10"), ("ES", "d20"), ("IT", "a1d22"), ("CH", "d17"), ("AT", "d16"), ("PL", "d24"), ("BE", "d12")])
    body = "".join(digits(int(n)) if kind == "d" else "".join(R.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(int(n))) for kind, n in re.findall(r"([da])(\d+)", shape))
    value = "".join(str(int(c, 36)) for c in body + country + "00")
    full = country + f"{98 - int(value) % 97:02d}" + body
    return R.choice([full, " ".join(full[i:i + 4] for i in range(0, len(full), 4))])


def date6():
    return f"{R.randrange(40, 99):02d}{R.randrange(1, 13):02d}{R.randrange(1, 29):02d}"


def national_id():
    def us():
        return f"{R.randrange(1, 665):03d}-{R.randrange(1, 99):02d}-{R.randrange(1, 9999):04d}"

    def es():
        n = R.randrange(10**7, 10**8)
        return f"{n}{'TRWAGMYFPDXBNJZSQVHLCKE'[n % 23]}"

    def fr():
        body = f"{R.choice('12')}{R.randrange(40, 99):02d}{R.randrange(1, 13):02d}{R.randrange(1, 95):02d}{R.randrange(1, 990):03d}{R.randrange(1, 999):03d}"
        return body + f"{97 - int(body) % 97:02d}"

    def cn():
        body = f"{R.randrange(110000, 659999)}19{date6()}{R.randrange(999):03d}"
        return body + "10X98765432"[sum(int(c) * w for c, w in zip(body, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))) % 11]

    def uk():
        return R.choice(["AB", "CE", "JH", "LR", "PW"]) + digits(6) + R.choice("ABCD")

    def br():
        d = [R.randrange(10) for _ in range(9)]
        for n in (9, 10):
            d.append(sum(v * (n + 1 - i) for i, v in enumerate(d)) * 10 % 11 % 10)
        t = "".join(map(str, d))
        return f"{t[:3]}.{t[3:6]}.{t[6:9]}-{t[9:]}"

    def pl():
        body = date6() + digits(4)
        return body + str(-sum(int(c) * w for c, w in zip(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3))) % 10)

    def se():
        body = date6() + digits(3)
        return body[:6] + "-" + body[6:] + luhn_digit(body)

    def ca():
        body = digits(8, "1234567")
        return grouped(body + luhn_digit(body), (3, 3, 3), "-")

    return R.choice([us, es, fr, cn, uk, br, pl, se, ca])()


def secret():
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    token = lambda n: "".join(R.choice(alphabet) for _ in range(n))
    return R.choice([lambda: "ghp_" + token(36), lambda: "sk-" + token(40), lambda: "AKIA" + "".join(R.choice(alphabet[:26] + "234567") for _ in range(16)), lambda: "glpat-" + token(20), lambda: "xoxb-" + token(40),
                     lambda: "api_key = " + token(24), lambda: "password: " + token(8) + str(R.randrange(10)), lambda: "Authorization: Bearer " + token(30) + "7", lambda: "hf_" + token(34), lambda: token(40),
                     lambda: f"postgres://app:{token(10)}@db.example/prod", lambda: f"the password is {token(6)}!{R.randrange(10)}"])()


def address():
    name = R.choice("Long Oak Mill Church Station River Hill King Queen Garden North Park".split())
    return R.choice([lambda: f"{R.randrange(1, 999)} {name} {R.choice('Street Road Lane Avenue Drive St Ave Rd'.split())}", lambda: f"{R.choice('Haupt Garten Bahnhof Schiller Linden Berg'.split())}straße {R.randrange(1, 200)}",
                     lambda: f"{R.randrange(1, 200)} rue {R.choice(['Victor Hugo', 'de la Paix', 'du Moulin', 'Pasteur'])}", lambda: f"Calle {R.choice(['Mayor', 'Real', 'Nueva'])} {R.randrange(1, 99)}",
                     lambda: f"Via {R.choice(['Roma', 'Garibaldi', 'Dante'])}, {R.randrange(1, 99)}", lambda: f"PO Box {R.randrange(10, 9999)}", lambda: f"{R.randrange(1, 99)} {name} Road, Apt {R.randrange(1, 40)}"])()


KINDS = {"e-mail": email, "phone": phone, "card": card, "iban": iban, "national id": national_id, "secret": secret, "address": address}
CARRIERS = ["please write to {} soon", "it is {} as far as I know", "contact: {}", "({})", "{}", "the customer gave us {}, is that right?", "see {}.", "my details are {} and nothing else", "name Anna, {} since 2019"]


def ask(ingot, file, texts):
    done = subprocess.run([ingot, "guard", "check", file, "--json"], input="\n".join(texts) + "\n", capture_output=True, text=True, check=True)
    found = []
    for line in done.stdout.splitlines():
        kinds = set()
        for watched in json.loads(line)["watched"]:
            if watched.startswith("private_data: "):
                kinds |= {re.sub(r" \(\d+ times\)", "", kind) for kind in watched.split("private data: ")[-1].split(", ")}
        found.append(kinds)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ingot")
    parser.add_argument("real")
    parser.add_argument("folder")
    parser.add_argument("--records", type=int, default=500)
    wanted = parser.parse_args()
    os.makedirs(wanted.folder, exist_ok=True)
    source, file = os.path.join(wanted.folder, "texts.csv"), os.path.join(wanted.folder, "private.ingot")
    with open(source, "w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["text", "label"])
        rows.writerows([f"{word} number {i} of the {word} kind", word] for i in range(60) for word in ("apple", "stone"))
    subprocess.run([wanted.ingot, "build", "recipes/classify", "--source", "csv:" + source, "--map", "text=text,label=label", "--set", "guard.topic=off", "--set", "guard.private_data=watch", "-o", file], check=True,
                   capture_output=True)
    real = [line.strip() for line in open(wanted.real, errors="replace") if 40 <= len(line) <= 600]
    R.shuffle(real)
    for title, plant in (("generated records", lambda item: R.choice(CARRIERS).format(item)), ("planted into real text", None)):
        rows = []
        for kind, make in KINDS.items():
            for _ in range(wanted.records):
                item = make()
                if plant:
                    rows.append((kind, plant(item)))
                else:
                    words = real[len(rows) % len(real)].split(" ")
                    at = R.randrange(len(words) + 1)
                    rows.append((kind, " ".join(words[:at] + [item] + words[at:])))
        found = ask(wanted.ingot, file, [text for _, text in rows])
        bare = ask(wanted.ingot, file, [real[i % len(real)] for i in range(len(rows))]) if not plant else [set()] * len(rows)
        print(f"{title}, {wanted.records} of each kind")
        for kind in KINDS:
            planted = [i for i, (k, _) in enumerate(rows) if k == kind]
            hit = sum(kind in found[i] for i in planted)
            # What stood in the real text before is not the plant's fault.
            wrong = sum(kind in found[i] and rows[i][0] != kind and kind not in bare[i] for i in range(len(rows)))
            missed = [rows[i][1][-90:] for i in planted if kind not in found[i]][:2]
            print(f"  {kind:<12} recall {100 * hit / len(planted):5.1f} %  precision {100 * hit / max(1, hit + wrong):5.1f} %" + (f"  missed, as {missed}" if missed else ""))
    found = ask(wanted.ingot, file, real[:6000])
    print(f"found in {len(found)} real texts without a plant")
    for kind in KINDS:
        at = [i for i, kinds in enumerate(found) if kind in kinds]
        print(f"  {kind:<12} in {len(at)} texts" + (f", as {[real[i][:100] for i in at[:3]]}" if kind not in ("e-mail",) and at else ""))


if __name__ == "__main__":
    main()
