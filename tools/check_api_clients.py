#!/usr/bin/env python3
"""Runs the official openai and anthropic clients and LangChain, unmodified, against `ingot serve`.

tools/check_api_clients.py MODEL [--embedder MODEL] [--binary build/ingot] [--record tests/serve/data/api_clients.jsonl]
needs: pip install openai anthropic langchain-openai langchain-anthropic
MODEL: an instruct model, such as SmolLM2-135M-Instruct.Q4_1.gguf. Prints one line a check; exit code 1 if one fails.
--record writes each request as the clients sent it, and the shape of its answer; tests/serve/api_clients_test.cc sends them again.
"""
import argparse
import http.client
import http.server
import json
import re
import subprocess
import sys
import threading
import traceback
import urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--embedder", help="a second model, for embeddings")
parser.add_argument("--binary", default="build/ingot")
parser.add_argument("--record")
options = parser.parse_args()

served = ["chat=" + options.model] + (["embed=" + options.embedder] if options.embedder else [])
server = subprocess.Popen([options.binary, "serve", *served, "--port", "0"], stdout=subprocess.PIPE, text=True)
base = re.search(r"http://\S+", server.stdout.readline()).group(0)
failed = 0
checks = []
recorded = []
current = ""


def shape(value, path, out):
    """Lines "path type": what an answer looks like, whatever the model says."""
    if isinstance(value, dict):
        out.add(path + " object")
        for key, item in value.items():
            shape(item, path + "." + key, out)
    elif isinstance(value, list):
        out.add(path + " array")
        for item in value:
            shape(item, path + "[]", out)
    else:
        out.add(path + " " + ("null" if value is None else "boolean" if isinstance(value, bool) else "number" if isinstance(value, (int, float)) else "string"))


def shape_of(body, content_type):
    out = set()
    if "event-stream" not in content_type:
        shape(json.loads(body), "", out)
        return sorted(out)
    for block in body.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if not lines.get("data"):
            continue
        name = lines.get("event", "")
        if lines["data"] == "[DONE]":
            out.add(name + "! [DONE]")
        else:
            shape(json.loads(lines["data"]), name + "!", out)
    return sorted(out)


class Recorder(http.server.BaseHTTPRequestHandler):
    """Stands between client and service while requests are recorded."""
    protocol_version = "HTTP/1.1"
    kept = ("content-type", "accept", "authorization", "x-api-key", "anthropic-version", "user-agent")

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        service = http.client.HTTPConnection(target, timeout=120)
        service.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "accept-encoding")})
        answer = service.getresponse()
        text, kind = answer.read(), answer.headers.get("Content-Type", "")
        if len(body) < 8192:  # the test has a long prompt of its own
            recorded.append({"check": current, "method": self.command, "path": self.path, "headers": {k.lower(): v for k, v in self.headers.items() if k.lower() in self.kept},
                             "body": body.decode(), "status": answer.status, "type": kind, "shape": shape_of(text, kind)})
        self.send_response(answer.status)
        for key in ("Content-Type", "X-Request-Id", "Retry-After"):
            if answer.headers.get(key):
                self.send_header(key, answer.headers[key])
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = pass_on

    def log_message(self, *_):
        pass


if options.record:
    target = base.removeprefix("http://")
    recorder = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=recorder.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{recorder.server_port}"


def check(function):
    checks.append(function)
    return function


import openai

client = openai.OpenAI(base_url=base + "/v1", api_key="none")
asked = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
weather = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}}
clock = {"type": "function", "function": {"name": "get_time", "description": "The time in a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "zone": {"enum": ["utc", "local"]}}, "required": ["city", "zone"], "additionalProperties": False}}}


@check
def openai_models():
    names = [m.id for m in client.models.list()]
    assert "chat" in names, names
    assert client.models.retrieve("chat").id == "chat"
    return names


@check
def openai_chat():
    answer = client.chat.completions.create(model="chat", messages=asked, temperature=0, max_completion_tokens=40)
    text = answer.choices[0].message.content
    assert "Paris" in text, text
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.choices[0].finish_reason in ("stop", "length")
    return text


@check
def openai_chat_streamed_is_the_same():
    whole = client.chat.completions.create(model="chat", messages=asked, temperature=0, max_tokens=40)
    text, usage, chunks = "", None, 0
    for chunk in client.chat.completions.create(model="chat", messages=asked, temperature=0, max_tokens=40, stream=True, stream_options={"include_usage": True}):
        chunks += 1
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
        if chunk.usage:
            usage = chunk.usage
    assert text == whole.choices[0].message.content, (text, whole.choices[0].message.content)
    assert usage.completion_tokens == whole.usage.completion_tokens
    return f"{chunks} chunks"


@check
def openai_chat_logprobs_n_seed_stop():
    answer = client.chat.completions.create(model="chat", messages=asked, n=2, seed=3, temperature=1, max_tokens=12, logprobs=True, top_logprobs=3)
    again = client.chat.completions.create(model="chat", messages=asked, n=2, seed=3, temperature=1, max_tokens=12, logprobs=True, top_logprobs=3)
    assert [c.message.content for c in answer.choices] == [c.message.content for c in again.choices]
    for choice in answer.choices:
        assert "".join(bytes(t.bytes).decode("utf8", "replace") for t in choice.logprobs.content) .startswith(choice.message.content[:4])
        assert all(len(t.top_logprobs) == 3 for t in choice.logprobs.content)
    stopped = client.chat.completions.create(model="chat", messages=asked, temperature=0, stop=["Paris"], max_tokens=40)
    assert "Paris" not in stopped.choices[0].message.content and stopped.choices[0].finish_reason == "stop"
    return [c.message.content for c in answer.choices]


@check
def openai_tools_required():
    answer = client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "What is the weather in Oslo?"}], tools=[weather, clock],
                                            tool_choice="required", temperature=0, max_tokens=80)
    call = answer.choices[0].message.tool_calls[0]
    arguments = json.loads(call.function.arguments)
    assert "city" in arguments and answer.choices[0].finish_reason == "tool_calls"
    # The result goes back, and the model speaks.
    messages = [{"role": "user", "content": "What is the weather in Oslo?"}, answer.choices[0].message.model_dump(exclude_none=True),
                {"role": "tool", "tool_call_id": call.id, "content": "4 degrees and rain"}]
    after = client.chat.completions.create(model="chat", messages=messages, tools=[weather, clock], temperature=0, max_tokens=40)
    assert after.choices[0].message.content or after.choices[0].message.tool_calls
    return f"{call.function.name}({call.function.arguments}) -> {after.choices[0].message.content!r}"


@check
def openai_tool_named_streamed():
    name, arguments = "", ""
    for chunk in client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "What time is it in Lima?"}], tools=[weather, clock],
                                                tool_choice={"type": "function", "function": {"name": "get_time"}}, temperature=0, max_tokens=80, stream=True):
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert name == "get_time", name
    assert json.loads(arguments)["zone"] in ("utc", "local"), arguments
    return arguments


@check
def openai_tools_auto_and_none():
    for choice in ("auto", "none"):
        answer = client.chat.completions.create(model="chat", messages=asked, tools=[weather], tool_choice=choice, temperature=0, max_tokens=40)
        assert choice == "auto" or not answer.choices[0].message.tool_calls
        assert answer.choices[0].message.content or answer.choices[0].message.tool_calls
    return answer.choices[0].message.content


@check
def openai_structured_output():
    import pydantic

    class City(pydantic.BaseModel):
        name: str
        country: str
        inhabitants: int

    answer = client.chat.completions.parse(model="chat", messages=[{"role": "user", "content": "Describe Paris as JSON."}], response_format=City, temperature=0, max_tokens=120)
    city = answer.choices[0].message.parsed
    assert isinstance(city.inhabitants, int)
    loose = client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "Describe Rome as JSON."}], response_format={"type": "json_object"}, temperature=0, max_tokens=400)
    if loose.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(loose.choices[0].message.content), dict)
    return city


@check
def openai_completions():
    answer = client.completions.create(model="chat", prompt=["The sky is", "Water is"], max_tokens=6, temperature=0, logprobs=2, echo=True)
    assert len(answer.choices) == 2 and answer.choices[0].text.startswith("The sky is")
    assert answer.choices[0].logprobs.token_logprobs[0] is None
    return [c.text for c in answer.choices]


@check
def openai_responses():
    answer = client.responses.create(model="chat", input="What is the capital of France?", instructions="Answer in one sentence.", temperature=0, max_output_tokens=40)
    assert "Paris" in answer.output_text, answer.output_text
    events = []
    with client.responses.stream(model="chat", input="What is the capital of France?", instructions="Answer in one sentence.", temperature=0, max_output_tokens=40) as stream:
        for event in stream:
            events.append(event.type)
        final = stream.get_final_response()
    assert final.output_text and events[0] == "response.created" and events[-1] == "response.completed", events
    tool = {"type": "function", **weather["function"], "strict": True}
    called = client.responses.create(model="chat", input="What is the weather in Oslo?", tools=[tool], tool_choice="required", temperature=0, max_output_tokens=80)
    assert called.output[0].type == "function_call" and "city" in json.loads(called.output[0].arguments)
    return final.output_text


@check
def openai_embeddings():
    model = "embed" if options.embedder else "chat"
    packed = client.embeddings.create(model=model, input=["a cat", "a kitten", "an invoice"])  # base64 by default
    plain = client.embeddings.create(model=model, input="a cat", encoding_format="float")
    assert max(abs(a - b) for a, b in zip(packed.data[0].embedding, plain.data[0].embedding)) < 1e-5
    dot = lambda a, b: sum(x * y for x, y in zip(a, b))
    rows = [d.embedding for d in packed.data]
    assert dot(rows[0], rows[1]) > dot(rows[0], rows[2])
    return f"{len(rows[0])} numbers; cat-kitten {dot(rows[0], rows[1]):.3f}, cat-invoice {dot(rows[0], rows[2]):.3f}"


@check
def openai_errors():
    try:
        client.chat.completions.create(model="gpt-4", messages=asked)
        raise AssertionError("answered")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found"
    try:
        client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "word " * 20000}])
        raise AssertionError("answered")
    except openai.BadRequestError as error:
        assert error.code == "context_length_exceeded"
        return error.message


import anthropic

claude = anthropic.Anthropic(base_url=base, api_key="none")
tool = {"name": "get_weather", "description": "The weather of a city", "input_schema": weather["function"]["parameters"]}


@check
def anthropic_messages():
    answer = claude.messages.create(model="chat", max_tokens=40, extra_body={"temperature": 0}, system="Answer in one sentence.", messages=[{"role": "user", "content": "What is the capital of France?"}])
    assert "Paris" in answer.content[0].text, answer
    count = claude.messages.count_tokens(model="chat", system="Answer in one sentence.", messages=[{"role": "user", "content": "What is the capital of France?"}])
    assert count.input_tokens == answer.usage.input_tokens + answer.usage.cache_read_input_tokens
    return answer.content[0].text


@check
def anthropic_stream():
    with claude.messages.stream(model="chat", max_tokens=40, extra_body={"temperature": 0}, messages=[{"role": "user", "content": "What is the capital of France?"}]) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text and final.stop_reason in ("end_turn", "max_tokens")
    return text


@check
def anthropic_tools():
    question = {"role": "user", "content": "What is the weather in Oslo?"}
    answer = claude.messages.create(model="chat", max_tokens=80, extra_body={"temperature": 0}, tools=[tool], tool_choice={"type": "any"}, messages=[question])
    use = answer.content[-1]
    assert use.type == "tool_use" and "city" in use.input and answer.stop_reason == "tool_use", answer
    with claude.messages.stream(model="chat", max_tokens=80, extra_body={"temperature": 0}, tools=[tool], tool_choice={"type": "tool", "name": "get_weather"}, messages=[question]) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[-1].input == use.input
    after = claude.messages.create(model="chat", max_tokens=40, extra_body={"temperature": 0}, tools=[tool], messages=[
        question, {"role": "assistant", "content": [use.model_dump(exclude_none=True)]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "4 degrees and rain"}]}])
    return f"{use.name}({use.input}) -> {after.content}"


@check
def anthropic_errors():
    try:
        claude.messages.create(model="none", max_tokens=5, messages=[{"role": "user", "content": "x"}])
        raise AssertionError("answered")
    except anthropic.NotFoundError as error:
        return error.body["error"]["type"]


@check
def langchain_openai():
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings
    from pydantic import BaseModel

    model = ChatOpenAI(model="chat", base_url=base + "/v1", api_key="none", temperature=0, max_tokens=60)
    assert "Paris" in model.invoke("What is the capital of France? Answer in one sentence.").content
    assert "".join(chunk.content for chunk in model.stream("What is the capital of France? Answer in one sentence.")).strip()

    class City(BaseModel):
        """A city."""
        name: str
        country: str

    city = model.with_structured_output(City, method="json_schema").invoke("Describe Paris.")
    called = model.with_structured_output(City, method="function_calling").invoke("Describe Paris.")
    bound = model.bind_tools([City], tool_choice="any").invoke("Describe Rome.")
    assert bound.tool_calls[0]["name"] == "City"
    # LangChain counts with OpenAI's own tokenizer, which it would download, unless told that the model is another.
    vectors = OpenAIEmbeddings(model="embed" if options.embedder else "chat", base_url=base + "/v1", api_key="none", check_embedding_ctx_length=False).embed_documents(["a cat", "a dog"])
    assert len(vectors) == 2
    return f"{city!r} {called!r}"


def post(path, body):
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {"Content-Type": "application/json", "Authorization": "Bearer none"})
    return urllib.request.urlopen(request)


@check
def continue_completions():
    """Tab completion as the Continue extension asks an OpenAI-compatible server for it."""
    body = {"model": "chat", "prompt": "def add(a, b):\n    ", "max_tokens": 24, "temperature": 0.01, "stream": True, "stop": ["\n\n", "/src/", "#- coding: utf-8", "```"]}
    text = ""
    for line in post("/v1/completions", body):
        if line.startswith(b"data: {"):
            text += json.loads(line[6:])["choices"][0]["text"]
    assert text
    return repr(text)


@check
def llama_vscode_infill():
    """As llama.vscode sends it; a model that was not taught to fill in is refused with the reason, which the extension shows."""
    body = {"id_slot": 0, "input_prefix": "def add(a, b):\n", "input_suffix": "\nprint(add(1, 2))\n", "input_extra": [{"text": "import math\n", "time": 1700000000000, "filename": "other.py"}],
            "prompt": "    return ", "n_predict": 16, "top_k": 40, "top_p": 0.99, "stream": False, "n_indent": 4, "samplers": ["top_k", "top_p", "infill"], "cache_prompt": True,
            "t_max_prompt_ms": 500, "t_max_predict_ms": 1000, "response_fields": ["content", "timings/prompt_n", "truncated", "generation_settings/n_ctx"]}
    try:
        answer = json.load(post("/infill", body))
        assert answer["content"]
        return repr(answer["content"])
    except urllib.error.HTTPError as error:
        said = json.load(error)["error"]["message"]
        assert error.code == 400 and "fill in the middle" in said, said
        return said


@check
def langchain_anthropic():
    from langchain_anthropic import ChatAnthropic

    model = ChatAnthropic(model="chat", base_url=base, api_key="none", temperature=0, max_tokens=40)
    return model.invoke("What is the capital of France?").content


try:
    for function in checks:
        current = function.__name__
        try:
            print(f"ok    {function.__name__}: {str(function())[:200]}", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAIL  {function.__name__}: {type(error).__name__} {str(error)[:600]}", flush=True)
            if not isinstance(error, openai.APIError):
                traceback.print_exc(limit=-2)
finally:
    server.terminate()
    server.wait(20)
if options.record and not failed:
    with open(options.record, "w") as out:
        for line in recorded:
            out.write(json.dumps(line) + "\n")
print(f"{len(checks) - failed} of {len(checks)} passed")
sys.exit(1 if failed else 0)
