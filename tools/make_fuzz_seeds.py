#!/usr/bin/env python3
"""Writes the textual first inputs of the fuzz targets: tools/make_fuzz_seeds.py tests/fuzz/corpus"""
import base64
import gzip
import json
import pathlib
import struct
import sys

out = pathlib.Path(sys.argv[1])


def seed(target, name, data):
    (out / target).mkdir(parents=True, exist_ok=True)
    (out / target / name).write_bytes(data.encode() if isinstance(data, str) else data)


bugzilla = {"bugs": [{"id": 7, "summary": "crash", "assigned_to": "ann@x.org", "component": "Core", "product": "P",
                      "creation_time": "2002-07-01T11:46:38Z", "status": "RESOLVED", "description": "it falls"}]}
github = [{"number": 3, "title": "fails", "body": "always", "assignee": {"login": "bob"}, "assignees": [{"login": "bob"}],
           "labels": [{"name": "area/io"}], "created_at": "2020-01-02T03:04:05Z", "state": "closed"}]
jira = {"issues": [{"key": "A-1", "fields": {"summary": "s", "description": "d", "assignee": {"name": "cy", "displayName": "Cy"},
                                            "components": [{"name": "ui"}], "created": "2019-03-12T15:45:00.000+0000"}}]}
seed("tracker", "bugzilla", b"\0" + json.dumps(bugzilla).encode())
seed("tracker", "bugzilla_csv", b"\0Bug ID,Summary,Assignee,Component,Opened\n1,\"a, b\",ann,Core,2002-01-02 03:04:05\n")
seed("tracker", "github", b"\1" + json.dumps(github).encode())
seed("tracker", "github_lines", b"\1" + json.dumps(github[0]).encode() + b"\n" + json.dumps({**github[0], "pull_request": {}}).encode())
seed("tracker", "jira", b"\2" + json.dumps(jira).encode())
seed("tracker", "jira_csv", b"\2Issue key,Summary,Assignee,Component/s,Created\nA-1,s,cy,ui,12/Mar/19 3:45 PM\n")

seed("tracker_events", "bugzilla", '''{"webhook_id":7,"webhook_name":"triage","event":{"time":"2024-03-05T10:11:12","target":"bug","action":"modify","user":{"id":2,"login":"lead@example.org","real_name":"The Lead"},"routing_key":"bug.modify:assigned_to","changes":[{"field":"assigned_to","removed":"nobody@example.org","added":"ann@example.org"}]},"bug":{"id":4711,"summary":"Crash in the index","component":"Search","product":"Core","assigned_to":{"id":3,"login":"ann@example.org","real_name":"Ann"}}}
''')
seed("tracker_events", "github", '''{"action":"assigned","issue":{"number":12,"title":"Crash in the index","body":"When it is empty.","assignee":{"login":"ann"},"assignees":[{"login":"ann"}],"labels":[{"name":"bug"},{"name":"area/search"}],"updated_at":"2024-03-05T10:11:12Z"},"assignee":{"login":"ann"},"sender":{"login":"lead"},"repository":{"full_name":"x/y"}}
''')
seed("tracker_events", "jira", '''{"timestamp":1709633472000,"webhookEvent":"jira:issue_updated","user":{"name":"lead","displayName":"The Lead"},"issue":{"id":"10","key":"CORE-12","fields":{"summary":"Crash in the index","description":"When it is empty.","assignee":{"name":"ann","displayName":"Ann"},"components":[{"name":"Search"}]}},"changelog":{"items":[{"field":"assignee","from":null,"fromString":null,"to":"ann","toString":"Ann"}]}}
''')

seed("csv", "plain", "Bug ID,Assignee,Summary,Description,Opened\n1,ann,crash,\"two\nlines, \"\"quoted\"\"\",2002-07-01 11:46:38 EST\n2,,x,y,z\n")
seed("csv", "semicolons", "text;engineer;time\r\na;b;1\r\n")
seed("csv", "utf16", "text,engineer\nab\u00e9,c\n".encode("utf-16"))
seed("csv", "latin", b"text,engineer\ncaf\xe9,d\n")
seed("csv", "ragged", "text,engineer\n\"open quote,b\nc\n,,,,\n")
seed("jsonl", "plain", '{"id":1,"text":"a","engineer":"b","time":"2002-01-01"}\n{"text":["x"],"engineer":{"n":1}}\nnot json\n\n{"text":null}\n')
seed("jsonl", "deep", '{"text":' + "[" * 200 + "]" * 200 + "}\n")

changelog = ("one (1.2-3) unstable; urgency=medium\n\n  [ Ann Lee ]\n  * Fix a crash (Closes: #12)\n  * New upstream\n    - more\n\n"
             " -- Bob Ray <bob@x.org>  Mon, 01 Jul 2002 11:46:38 +0200\n\none (1.2-2) unstable; urgency=low\n\n  * First\n\n -- Ann <a@x>  Sun, 30 Jun 2002 11:46:38 +0000\n")
seed("changelog", "plain", changelog)
seed("changelog", "packed", gzip.compress(changelog.encode(), mtime=0))

seed("recipe", "triage", 'name = "bugs"\nkind = "triage"\npurpose = "p"\n[data]\nsources = ["csv:a.csv"]\nmap = "id=A"\nholdout = 0.2\n[guard]\ntopic = "block"\nwords = ["a+"]\nexamples = ["x"]\n[gate]\nengineer_top1 = 0.3\n')
seed("recipe", "set", 'gate.engineer_top1=0.5\nkind = "classify"\n[train]\nseed = 3\n')
seed("recipe", "odd", 'a.b.c = {d = [1, {e = 2}], f = 1979-05-27T07:32:00Z}\n[[data]]\nname = """\nx"""\n')

for i, text in enumerate(["1025526398", "1025526398000", "2002-07-01T11:46:38Z", "2002-07-01 11:46:38 EST", "Mon, 01 Jul 2002 11:46:38 +0200",
                          "12/Mar/19 3:45 PM", "2019-03-12T15:45:00.000+0000", "2002-02-30", "99999999999999999999", "-62135596800",
                          "id=Bug ID,engineer=Assignee,text=Summary+Description"]):
    seed("time", f"t{i}", text)

private = ["mail ann.lee@example.org or +44 20 7946 0958", "card 4111 1111 1111 1111 and IBAN GB82 WEST 1234 5698 7654 32", "SSN 078-05-1120, DNI 12345678Z, X1234567L",
           "AKIA" + "IOSFODNN7EXAMPLE" + " key", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----", "password=hunter22 token: Zx9vQ2mK8pL4rT7wY1", "\xff\xfe@\u00e9.org 1.2.3.4"]
for i, text in enumerate(private):
    seed("private_data", f"p{i}", text)

for i, text in enumerate(["Hello world's 12345 \n\n  x\t", "\u4f60\u597d \u0645\u0631 \U0001f600\u200d", b"\xff\xc3\xe2\x82 \xf0\x9f\x98 a\xed\xa0\x80", "a\u0301 \u00a0 'LL don't"]):
    seed("utf8", f"u{i}", text)

bodies = {0: {"model": "bugs", "input": "word01"}, 1: {"input": ["a", "b"]},
          2: {"model": "bugs", "stream": True, "messages": [{"role": "user", "content": "word12 word13"}]},
          3: {"input": "a", "label": {"engineer": "person1", "component": "c"}}, 4: {"model": "bugs"}}
for which, body in bodies.items():
    seed("http", f"b{which}", bytes([which]) + json.dumps(body).encode())
seed("http", "parts", b"\2" + json.dumps({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}).encode())
seed("http", "path", b"\x87/v1/models%2f..%00+a")
seed("http", "models", b"\x85")

manifest = {"format": 1, "kind": "triage", "name": "bugs", "root": "@", "prefix": 0, "provenance": {},
            "members": [{"name": "recipe.toml", "size": 1, "sha256": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"}]}
seed("archive", "manifest", json.dumps(manifest))
seed("archive", "newer", json.dumps({**manifest, "format": 2}))
name = b"a/b"  # a directory alone: the page padding would be all of a whole file
local = struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0) + name
central = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 45, 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0) + name
end = struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 1, 1, len(central), len(local), 0)
seed("archive", "directory", local + central + end)

# Folders of models: their configurations, a safetensors file and an index, an importance matrix in its older form.
decoder = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 8, "max_position_embeddings": 64,
           "vocab_size": 9, "head_dim": 16, "rms_norm_eps": 1e-6}
seed("hf_config", "llama", json.dumps({**decoder, "model_type": "llama", "rope_theta": 1e4, "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 16}}))
seed("hf_config", "gemma", json.dumps({"model_type": "gemma3", "text_config": {**decoder, "layer_types": ["sliding_attention"], "rope_parameters": {
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}}}))
seed("hf_config", "qwen", json.dumps({**decoder, "model_type": "qwen2", "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0, "eos_token_id": [1, 2]}))
seed("hf_config", "bert", json.dumps({**decoder, "model_type": "bert", "hidden_act": "gelu", "type_vocab_size": 2, "pad_token_id": 0}))
header = json.dumps({"a": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}, "b": {"dtype": "BF16", "shape": [2], "data_offsets": [8, 12]}}).encode()
seed("safetensors", "two", struct.pack("<Q", len(header)) + header + bytes(12))
seed("safetensors", "index", "i" + json.dumps({"metadata": {"total_size": 12}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "../b.safetensors"}}))
entry = b"blk.0.attn_q.weight"
seed("importance", "older", struct.pack("<ii", 1, len(entry)) + entry + struct.pack("<ii4f", 2, 4, 1, 2, 3, 4))

# From the goldens of the tests, the smaller ones.
tests = pathlib.Path(__file__).parent.parent / "tests" / "text" / "data"
for one in json.load(open(tests / "tokenizers.json"))["cases"]:
    if one["name"] in ("qwen2", "xlm-r", "bert"):
        seed("tokenizer_json", one["name"], json.dumps(one["json"], ensure_ascii=False))
    if one["name"] in ("sentencepiece bpe with its own pieces", "sentencepiece unigram"):
        seed("tokenizer_model", one["name"].replace(" ", "_"), base64.b64decode(one["model"]))
settings = {"bos_token": {"content": "<|im_start|>"}, "eos_token": "<|im_end|>", "pad_token": None, "tokenizer_class": "LlamaTokenizer", "add_bos_token": True,
            "added_tokens_decoder": {"265": {"content": "<tool>", "special": True, "lstrip": True}}, "chat_template": [{"name": "default", "template": "{{ messages }}"}]}
beside = [settings, {"</tool>": 266}, {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}, {"eos_token_id": [2, 0]}, {"chat_template": "{{ bos_token }}"}]
seed("tokenizer_folder", "settings", "\n-----\n".join(map(json.dumps, beside)))
for one in json.load(open(tests / "tokenizers.json"))["cases"]:
    if one["name"] == "sentencepiece unigram":
        own = ['{"legacy": false, "add_eos_token": true, "eos_token": "</s>"}', '{"<extra>": 300}', "", '{"eos_token_id": 1}', "", ""]
        seed("tokenizer_folder", "sentence_piece", "\n-----\n".join(own).encode() + base64.b64decode(one["model"]))
for one in json.load(open(tests / "chat_templates.json"))["cases"]:
    seed("chat_template", one["name"], one["template"])
