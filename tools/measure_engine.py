#!/usr/bin/env python3
"""What constraints, guessing ahead and smaller keys and values cost or save, on one model, turn about; medians.

    tools/measure_engine.py MODEL [--ingot build/ingot] [--part constraints,speculation,kv] [--draft-model NAME] [--rounds 3] [--depth 2048]

constraints: tokens a second with and without, and the microseconds a token that the masks take, for each kind of constraint.
speculation: tokens a second with --draft 1 to 8 over those without, on a text that repeats itself and on one that does not, and whether the
text stayed the same (it must), greedy and drawn.
kv: prefill and decode after --depth tokens for f16, q8 and q4 keys and values, and their bytes a token.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 40}, "age": {"type": "integer", "minimum": 0, "maximum": 130},
          "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 2, "maxItems": 5},
          "address": {"type": "object", "properties": {"street": {"type": "string", "maxLength": 60}, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}}, "required": ["street", "zip"]}},
          "required": ["name", "age", "tags", "address"], "additionalProperties": False}
GRAMMAR = 'root ::= line+\nline ::= "- " word (" " word)* "\\n"\nword ::= [a-z]+\n'
PARAGRAPH = ("The foreman checks the north gate at six, the loading dock at seven and the cold store at eight. When the cold store is warmer than four degrees, "
             "the foreman calls the engineer on duty and writes the time into the log. ")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("--ingot", default=pathlib.Path(__file__).resolve().parent.parent / "build" / "ingot", type=pathlib.Path)
parser.add_argument("--part", default="constraints,speculation,kv")
parser.add_argument("--draft-model")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--tokens", type=int, default=96)
parser.add_argument("--depth", type=int, default=2048)
args = parser.parse_args()


def ingot(*words):
    done = subprocess.run([args.ingot, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"ingot {' '.join(map(str, words))} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def generate(prompt, *more, temperature=0):
    return ingot("generate", args.model, "-p", prompt, "-n", args.tokens, "--temperature", temperature, "--seed", 1, "--json", *more)


def turn_about(settings, measure):
    """For each setting the results of all rounds; every round goes through all settings."""
    results = {name: [] for name in settings}
    for _ in range(args.rounds):
        for name, words in settings.items():
            results[name].append(measure(words))
    return results


def median(results, key):
    return statistics.median(r[key] for r in results)


def constraints(folder):
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    (folder / "grammar.gbnf").write_text(GRAMMAR)
    settings = {"none": ["--ignore-end"], "JSON schema": ["--json-schema", folder / "schema.json"], "GBNF": ["--grammar", folder / "grammar.gbnf"],
                "regex": ["--regex", "([A-Z][a-z]+ ){6,40}"], "choice": ["--choice", "the north gate is open", "--choice", "the north gate is closed"]}
    found = turn_about(settings, lambda words: generate("A person, as JSON: ", *words, temperature=0.7))
    print(f"{'constraint':14} {'tokens':>7} {'tokens/s':>9} {'us a token':>11}")
    for name, results in found.items():
        tokens = len(results[0]["tokens"])
        cost = statistics.median(1e6 * r.get("constraint_s", 0) / max(1, len(r["tokens"])) for r in results)
        print(f"{name:14} {tokens:7} {median(results, 'tokens_per_s'):9.1f} {cost:11.1f}")


def speculation():
    prompts = {"repeats itself": PARAGRAPH * 2 + "Once more, word for word: " + PARAGRAPH[:40], "does not": "A short history of the lighthouse begins"}
    settings = {"none": []} | {f"draft {n}": ["--draft", n] for n in (1, 2, 4, 8)}
    if args.draft_model:
        settings |= {f"model {n}": ["--draft", n, "--draft-model", args.draft_model] for n in (2, 4)}
    for what, prompt in prompts.items():
        print(f"a text that {what:16} {'tokens/s':>9} {'of none':>8} {'accepted':>9} {'same text':>10}")
        found = turn_about(settings, lambda words: generate(prompt, "--ignore-end", *words))
        drawn = {name: generate(prompt, "--ignore-end", *words, temperature=0.9)["text"] for name, words in settings.items()}
        for name, results in found.items():
            guessed = results[0].get("drafted", 0)
            same = all(r["text"] == found["none"][0]["text"] for r in results) and drawn[name] == drawn["none"]
            print(f"  {name:26} {median(results, 'tokens_per_s'):9.1f} {median(results, 'tokens_per_s') / median(found['none'], 'tokens_per_s'):8.2f} "
                  f"{results[0].get('accepted', 0) / guessed if guessed else 0:9.0%} {'yes' if same else 'NO':>10}")


def kv():
    def bench(words):
        out = ingot("bench", args.model, "--prompt", args.depth, "--decode", 32, "--rounds", 1, "--json", *words)
        return {"prefill": out["prefill"]["tokens_per_s"], "decode": out["decode"]["tokens_per_s"], "bytes": out["memory"]["cache_bytes"]}
    found = turn_about({t: ["--kv", t] for t in ("f16", "q8", "q4")}, bench)
    print(f"{'keys, values':14} {'prefill':>8} {'decode':>8} {'of f16':>7} {'bytes':>7}")
    for name, results in found.items():
        print(f"{name:14} {median(results, 'prefill'):8.1f} {median(results, 'decode'):8.1f} {median(results, 'decode') / median(found['f16'], 'decode'):7.2f} "
              f"{results[0]['bytes'] / found['f16'][0]['bytes']:7.2f}")


with tempfile.TemporaryDirectory() as folder:
    for part in args.part.split(","):
        {"constraints": lambda: constraints(pathlib.Path(folder)), "speculation": speculation, "kv": kv}[part]()
