"""Renders every .jinja file of a folder with `ingot template` and with transformers, and compares. What the reference refuses is to be
refused; a template that it refuses for every conversation may be refused when it is read.
Usage: compare_chat_templates.py FOLDER [--ingot build/ingot]"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from chat_template_cases import cases, reference

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--ingot", default="build/ingot")
parser.add_argument("--show", type=int, default=1, help="differences shown for a template")
args = parser.parse_args()
NOW = 1735689600 + 86400 * 45
all_cases, bad, total, same, refused = cases(), 0, 0, 0, 0
with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
    json.dump(all_cases, f)
    f.flush()
    for path in sorted(pathlib.Path(args.folder).glob("*.jinja")):
        template = path.read_text()
        run = subprocess.run([args.ingot, "template", str(path), f.name, "--now", str(NOW)], capture_output=True, text=True)
        if run.returncode:
            errors = [reference(template, case, NOW)[1] for case in all_cases]
            print(f"{path.name}: refused at load{f' by both: {errors[0]}' if all(errors) else ''}: {run.stderr.strip()}")
            refused += all(errors)
            bad += not all(errors)
            continue
        lines = [json.loads(line) for line in run.stdout.splitlines()]
        different = 0
        for case, ours in zip(all_cases, lines, strict=True):
            text, error = reference(template, case, NOW)
            total += 1
            if ours.get("text") != text:
                different += 1
                if different <= args.show:
                    print(f"{path.name}: {json.dumps(case, ensure_ascii=False)[:300]}\n   reference {error or text!r}\n   ours      {ours}")
        bad += different > 0
        same += different == 0
        print(f"{path.name}: {len(lines) - different} of {len(lines)} equal")
print(f"{total} renderings; {same} templates equal in all, {refused} refused by both, {bad} with differences")
sys.exit(bad > 0)
