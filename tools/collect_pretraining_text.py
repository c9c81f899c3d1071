#!/usr/bin/env python3
"""Collects technical English that ships with Debian packages, to train the embedded base model on.

    mkdir debs && (cd debs && apt-get download $(cat packages.txt))
    tools/collect_pretraining_text.py --debs debs --installed --out OUT

Reads upstream release notes, manual pages, plain, reStructuredText and HTML documentation and package descriptions, scrubs addresses
and telephone numbers, drops repeated paragraphs, and writes OUT/train.txt, OUT/heldout.txt (whole documents, chosen by the
hash of their name, so that the split stays the same) and OUT/manifest.tsv (package, version, licences, bytes used).
Standard library only; needs dpkg-deb and dpkg-query. Documents are separated by a form feed line.
"""
import argparse
import concurrent.futures
import glob
import gzip
import hashlib
import html.parser
import os
import re
import subprocess
import sys
import tempfile

EMAIL = re.compile(r"[\w.+%-]+(?:@|\s?\(at\)\s?|\s?\[at\]\s?|&#64;)[\w-]+(?:(?:\.|\s?\(dot\)\s?|\s?\[dot\]\s?)[\w-]+)*", re.I)
PHONE = re.compile(r"(?<![\w.:/-])(?:\+\d{1,3}[ .()-]{0,2}(?:\d[ .()/-]{0,2}){7,13}\d|\(\d{3}\)[ -]?\d{3}[ -]\d{4}|1?-?\d{3}-\d{3}-\d{4})(?![\w-])")
PERSON = re.compile(r"^ -- .*$", re.M)
STOP = set("the of to and a in is for that this with be are it not if or by from as an on can will when which".split())
SKIP = re.compile(r"(copyright|license|licence|authors|thanks|credits|maintainers|contributors|buildinfo|\.(?:svg|css|js|png|py|c|h|gif|json|xml|inv|map)(?:\.gz)?$|/(?:COPYING|AUTHORS|THANKS|CREDITS|MAINTAINERS))", re.I)


class Html(html.parser.HTMLParser):
    """Block text of a page without navigation, scripts and styles."""
    BLOCK = {"p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "pre", "dt", "dd", "table", "section", "ul", "ol", "dl", "blockquote"}
    DROP = {"script", "style", "nav", "head", "footer"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts, self.dropping, self.pre = [], 0, 0

    def handle_starttag(self, tag, attrs):
        self.dropping += tag in self.DROP
        self.pre += tag == "pre"
        if tag in self.BLOCK:
            self.parts.append("\n\n" if tag != "tr" else "\n")
        if tag == "li":
            self.parts.append("* ")
        if tag in ("br",):
            self.parts.append("\n")

    def handle_endtag(self, tag):
        self.dropping = max(0, self.dropping - (tag in self.DROP))
        self.pre = max(0, self.pre - (tag == "pre"))
        if tag in self.BLOCK:
            self.parts.append("\n\n")

    def handle_data(self, data):
        if not self.dropping:
            self.parts.append(data if self.pre else re.sub(r"\s+", " ", data))


def from_html(text):
    parser = Html()
    try:
        parser.feed(text)
    except (AssertionError, ValueError):
        return ""
    return "".join(parser.parts)


ESCAPES = {r"\-": "-", r"\e": "\\", r"\(aq": "'", r"\(dq": '"', r"\(cq": "'", r"\(oq": "'", r"\(lq": '"', r"\(rq": '"', r"\(bu": "*",
           r"\(em": "-", r"\(en": "-", r"\(ga": "`", r"\(ha": "^", r"\(ti": "~", r"\(rs": "\\", r"\(co": "(c)", r"\ ": " ", r"\~": " ",
           r"\&": "", r"\|": "", r"\^": "", r"\:": "", r"\%": "", r"\/": "", r"\,": "", r"\0": " "}


def roff_inline(line):
    line = re.sub(r'\\".*', "", line)
    line = re.sub(r"\\f(\[[^\]]*\]|\(..|.)", "", line)
    line = re.sub(r"\\[sm]([+-]?\d+|\[[^\]]*\])", "", line)
    line = re.sub(r"\\[vhwlL]'[^']*'", "", line)
    line = re.sub(r"\\\[([a-z]{2})\]", r"\\(\1", line)
    line = re.sub(r"\\(\(..|.)", lambda m: ESCAPES.get("\\" + m.group(1), ""), line)
    return line


def from_roff(text):
    """man(7) and mdoc(7) source as paragraphs: enough for reading, not a formatter."""
    out, tag_next, in_table, in_define = [], False, False, False
    for line in text.split("\n"):
        if in_define:
            in_define = not line.startswith("..")
            continue
        if line.startswith((".", "'")):
            match = re.match(r"[.']\s*(\S*)\s*(.*)", line)
            name, rest = match.group(1), roff_inline(match.group(2))
            words = [a or b for a, b in re.findall(r'"([^"]*)"?|(\S+)', rest)]
            if name.startswith('\\"'):
                continue
            if name in ("de", "ig", "am"):
                in_define = True
            elif name == "TS":
                in_table = True
            elif name == "TE":
                in_table = False
            elif name in ("SH", "SS", "Sh", "Ss"):
                out.append("\n\n" + " ".join(words) + "\n\n")
            elif name in ("PP", "P", "LP", "Pp", "sp", "nf", "fi", "EX", "EE", "RS", "RE", "Bl", "El", "Bd", "Ed"):
                out.append("\n\n")
            elif name in ("TP", "TQ"):
                out.append("\n\n")
                tag_next = True
                continue
            elif name in ("IP", "It"):
                out.append("\n\n" + " ".join(words[:1] if name == "IP" else words) + "\n")
            elif name in ("BR", "RB", "IR", "RI", "BI", "IB"):
                out.append("".join(words) + "\n")
            elif name in ("B", "I", "SM", "SB", "R", "Nm", "Ar", "Fl", "Cm", "Pa", "Xr", "Dq", "Sq", "Em", "Li", "Va", "Fa", "Dv", "Er", "Nd", "Op"):
                out.append(("-" if name == "Fl" else "") + " ".join(words) + "\n")
        elif not in_table:
            out.append(roff_inline(line) + "\n")
        if tag_next:
            out.append("\n")
            tag_next = False
    return "".join(out)


def scrub(text):
    text = EMAIL.sub("", text.replace("<>", ""))
    text = PHONE.sub("", text)
    return text.replace("<>", "").replace("()", "()")


def paragraphs(text, changelog):
    text = text.replace("\r\n", "\n").replace("\t", "    ").replace("\u00a0", " ")
    if changelog:
        text = PERSON.sub("", text)
        text = re.sub(r"^([\w.+-]+) \([^)]*\) [^;\n]*;.*$", r"\1:", text, flags=re.M)  # the header keeps the package's name
        text = re.sub(r"\n  \[ [^\]\n]* \]\n", "\n", text)
    for block in re.split(r"\n\s*\n", text):
        block = re.sub(r"[ \t]+\n", "\n", block).strip("\n")
        block = re.sub(r"[^\S\n]{3,}", "  ", block)
        if block.strip():
            yield block


def readable(block, changelog):
    letters = sum(c.isalpha() or c == " " for c in block)
    if len(block) < 20 or letters < 0.7 * len(block):
        return False
    ascii_share = sum(c < "\x7f" for c in block) / len(block)
    if ascii_share < 0.97:
        return False
    words = re.findall(r"[a-z]+", block.lower())
    if changelog:
        return len(words) >= 4
    return len(words) >= 5 and (len(words) < 12 or sum(w in STOP for w in words) >= 0.12 * len(words))


BULLET = re.compile(r"^  [*+-] ", re.M)


def is_bullet_list(text):
    """A changelog in Debian's form: the triage AIs are trained and judged on those, so the base model must not have read them."""
    lines = [line for line in text.split("\n") if line.strip()]
    return len(BULLET.findall(text)) >= max(3, 0.1 * len(lines))


def load(path):
    opener = gzip.open if path.endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            data = file.read(8 << 20)
    except (OSError, EOFError):
        return ""
    if b"\0" in data[:4096]:
        return ""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def document(job):
    """(name, kind, package, paragraphs) of one file."""
    path, name, package = job
    stem = name[:-3] if name.endswith(".gz") else name
    base = os.path.basename(stem)
    changelog = base.lower().startswith(("changelog", "news"))
    text = load(path)
    if not text:
        return name, "", package, []
    if re.search(r"/man/man\d", name) or re.search(r"\.[1-8][a-z]*$", stem):
        kind, text = "manual", from_roff(text)
    elif base.endswith((".html", ".htm", ".xhtml")):
        kind, text = "html", from_html(text)
    else:
        kind = "changelog" if changelog else "text"
    return name, kind, package, [p for p in paragraphs(scrub(text), changelog) if readable(p, changelog)]


def wanted(name):
    if SKIP.search(name) and not re.search(r"changelog", name, re.I):
        return False
    stem = name[:-3] if name.endswith(".gz") else name
    if re.search(r"/man/[a-z]{2}(_[A-Z]{2})?(\.[^/]*)?/", name):
        return False  # translations
    return "/man/man" in name or ("/doc" in name or "/share/" in name) and (
        stem.endswith((".txt", ".html", ".htm", ".rst", ".md", ".adoc", ".pod"))
        or re.match(r"(?:changelog|news|readme|todo|bugs|faq|install|hacking|release|changes)", os.path.basename(stem), re.I))


def licences(copyright_file):
    found = re.findall(r"^License:[ \t]*(\S[^\n]*)", load(copyright_file), re.M)
    return "; ".join(sorted({x.strip() for x in found}))[:300] or "see /usr/share/doc/PACKAGE/copyright"


def installed():
    """Documentation of what is installed here, with its package."""
    versions, owner = {}, {}
    query = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\t${Version}\n"], capture_output=True, text=True, check=True)
    for line in query.stdout.splitlines():
        package, version = line.split("\t")
        versions[package] = version
    for listing in glob.glob("/var/lib/dpkg/info/*.list"):
        package = os.path.basename(listing)[:-5].split(":")[0]
        with open(listing, encoding="utf-8", errors="replace") as file:
            for line in file:
                name = line.rstrip("\n")
                if name.startswith(("/usr/share/doc/", "/usr/share/man/")) and os.path.isfile(name) and wanted(name):
                    owner[os.path.realpath(name)] = package
    jobs = [(path, path, package) for path, package in sorted(owner.items())]
    info = {p: (versions.get(p, "?"), licences(f"/usr/share/doc/{p}/copyright")) for p in set(owner.values())}
    return jobs, info


def unpacked(debs, scratch):
    jobs, info = [], {}
    for deb in sorted(glob.glob(os.path.join(debs, "*.deb"))):
        fields = subprocess.run(["dpkg-deb", "-f", deb, "Package", "Version"], capture_output=True, text=True).stdout
        match = re.search(r"Package: (\S+)\nVersion: (\S+)", fields)
        if not match:
            print(f"not a package: {deb}", file=sys.stderr)
            continue
        package, version = match.groups()
        root = os.path.join(scratch, package)
        os.makedirs(root, exist_ok=True)
        subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
        info[package] = (version, licences(os.path.join(root, "usr/share/doc", package, "copyright")))
        for folder, _, names in os.walk(root):
            for name in sorted(names):
                path = os.path.join(folder, name)
                inner = path[len(root):]
                if os.path.isfile(path) and not os.path.islink(path) and wanted(inner):
                    jobs.append((path, inner, package))
    return jobs, info


def descriptions():
    """One paragraph for each package that apt or dpkg knows; from its lists, without a network."""
    text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, errors="replace").stdout
    for block in text.split("\n\n"):
        match = re.search(r"^Description(?:-en)?:[ ]*(.*(?:\n .*)*)", block, re.M)
        if match:
            yield re.sub(r"\n \.?", "\n", match.group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debs", help="folder of .deb files to read")
    parser.add_argument("--installed", action="store_true", help="read the documentation of this machine's packages too")
    parser.add_argument("--descriptions", action="store_true", help="package descriptions from apt's lists too")
    parser.add_argument("--out", required=True)
    parser.add_argument("--heldout", type=float, default=0.012, help="share of documents held out")
    parser.add_argument("--per-package", type=float, default=12, help="most MB taken from one package")
    parser.add_argument("--scratch", help="where packages are unpacked (default: a temporary folder)")
    args = parser.parse_args()

    jobs, info = [], {}
    scratch = args.scratch or tempfile.mkdtemp(prefix="pretraining-")
    if args.debs:
        more, facts = unpacked(args.debs, scratch)
        jobs += more
        info.update(facts)
    if args.installed:
        more, facts = installed()
        jobs += [job for job in more if job[2] not in info]
        info.update({p: f for p, f in facts.items() if p not in info})

    seen, used, kinds, sizes = set(), {}, {}, {"train": 0, "heldout": 0}
    os.makedirs(args.out, exist_ok=True)
    train = open(os.path.join(args.out, "train.txt.part"), "w", encoding="utf-8")
    heldout = open(os.path.join(args.out, "heldout.txt.part"), "w", encoding="utf-8")
    repeated = 0

    def put(name, kind, package, blocks):
        nonlocal repeated
        fresh = []
        for block in blocks:
            key = hashlib.blake2b(re.sub(r"\W+", " ", block.lower()).encode(), digest_size=10).digest()
            if key in seen:
                repeated += 1
                continue
            seen.add(key)
            fresh.append(block)
        body = "\n\n".join(fresh)
        if is_bullet_list(body):
            return
        if len(body) < 200 or used.get(package, 0) > args.per_package * 1e6:
            return
        split = "heldout" if int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32 < args.heldout else "train"
        if split == "heldout":  # one giant document must not be the measure
            body = body[:60000]
        (heldout if split == "heldout" else train).write(body + "\n\f\n")
        size = len(body.encode())
        sizes[split] += size
        used[package] = used.get(package, 0) + size
        kinds[kind] = kinds.get(kind, 0) + size

    with concurrent.futures.ProcessPoolExecutor() as pool:
        for name, kind, package, blocks in pool.map(document, jobs, chunksize=32):
            put(name, kind, package, blocks)
    if args.descriptions:
        info["(package descriptions)"] = ("apt lists", "as each package")
        batch = []
        for text in descriptions():
            batch.append(scrub(text))
            if len(batch) == 200:
                put(f"descriptions/{hash_of(batch)}", "description", "(package descriptions)", [b for b in batch if readable(b, False)])
                batch = []
    for file, name in ((train, "train.txt"), (heldout, "heldout.txt")):
        file.close()
        os.replace(os.path.join(args.out, name + ".part"), os.path.join(args.out, name))
    with open(os.path.join(args.out, "manifest.tsv"), "w", encoding="utf-8") as file:
        file.write("package\tversion\tbytes\tlicences\n")
        for package in sorted(used):
            version, licence = info.get(package, ("?", "?"))
            file.write(f"{package}\t{version}\t{used[package]}\t{licence}\n")
    print(f"train {sizes['train'] / 1e6:.1f} MB, held out {sizes['heldout'] / 1e6:.2f} MB, {len(used)} packages, "
          f"{len(jobs)} files, {repeated} repeated paragraphs dropped")
    print("by kind: " + ", ".join(f"{k} {v / 1e6:.1f} MB" for k, v in sorted(kinds.items(), key=lambda kv: -kv[1])))


def hash_of(batch):
    return hashlib.sha256("".join(batch).encode()).hexdigest()[:16]


if __name__ == "__main__":
    main()
