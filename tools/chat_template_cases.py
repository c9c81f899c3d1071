"""Conversations on which chat templates are compared with the reference (used by the two scripts beside this one)."""
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather \"now\" in <a> city & more — 天气",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "The city", "enum": ["Paris", "Köln"]},
                       "days": {"type": "integer", "default": 3}, "exact": {"type": "boolean"}, "limit": {"type": "number", "maximum": 1.5}},
                       "required": ["city"]}, "return": {"type": "object", "description": "what is found"}}}
PLAIN = {"type": "function", "function": {"name": "noop", "description": "Nothing", "parameters": {"type": "object", "properties": {}}}}
SYSTEM = {"role": "system", "content": "  Be brief.\n"}
USER = {"role": "user", "content": "Hello, wörld! 你好 \U0001f600 <|x|>"}
ANSWER = {"role": "assistant", "content": "<think>\nhm\n</think>\n\n Hi there. "}
AGAIN = {"role": "user", "content": "  And {{ now }}?  \n\n"}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "abcdefghi", "type": "function",
        "function": {"name": "get_weather", "arguments": {"city": "Köln", "days": 2, "limit": 1e-7, "list": [1, True, None, "a'b\"c"]}}}]}
CALL_NONE = dict(CALL, content=None)
CALL_TEXT = {"role": "assistant", "content": "calling", "tool_calls": [{"id": "abcdefghi", "type": "function",
             "function": {"name": "get_weather", "arguments": "{\"city\": \"Paris\"}"}}]}
RESULT = {"role": "tool", "name": "get_weather", "tool_call_id": "abcdefghi", "content": "{\"t\": 21.5}"}
RESULT_OBJECT = dict(RESULT, content={"t": 21.5, "sky": "blue"})
PARTS = {"role": "user", "content": [{"type": "text", "text": " One "}, {"type": "image"}, {"type": "text", "text": "two"}]}
REASON = {"role": "assistant", "content": "Yes.", "reasoning_content": "Let me\nthink"}
TWO_CALLS = {"role": "assistant", "content": "", "tool_calls": [CALL["tool_calls"][0], {"id": "ihgfedcba", "type": "function",
             "function": {"name": "noop", "arguments": {}}}]}
OTHER_RESULT = {"role": "tool", "name": "noop", "tool_call_id": "ihgfedcba", "content": "done"}
NESTED = {"type": "function", "function": {"name": "book", "description": "Books\na table", "parameters": {"type": "object", "properties": {
          "who": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": ["integer", "null"]}}, "required": ["name"]},
          "when": {"type": "array", "items": {"type": "string", "format": "date"}, "minItems": 1}, "how": {"anyOf": [{"type": "string"}, {"type": "number"}]}}, "required": ["who", "when"]}}}
RESULTS = [RESULT, OTHER_RESULT]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def cases():
    chats = [[USER], [SYSTEM, USER], [USER, ANSWER], [USER, ANSWER, AGAIN], [SYSTEM, USER, ANSWER, AGAIN], [SYSTEM, USER, ANSWER, AGAIN, ANSWER],
             [USER, CALL, RESULT], [SYSTEM, USER, CALL, RESULT, ANSWER, AGAIN], [USER, CALL_NONE, RESULT, RESULT, ANSWER], [USER, CALL_TEXT, RESULT_OBJECT],
             [PARTS], [SYSTEM, PARTS, ANSWER], [USER, REASON, AGAIN], [USER, REASON], [USER, USER], [ANSWER], [SYSTEM], [{"role": "odd", "content": "x"}], []]
    out = []
    for chat in chats:
        for extra in ({}, {"add_generation_prompt": True}, {"tools": [TOOL, PLAIN], "add_generation_prompt": True}):
            out.append({"messages": chat, **extra, **TOKENS})
    out.append({"messages": [SYSTEM, USER], "add_generation_prompt": True, "enable_thinking": False, **TOKENS})
    out.append({"messages": [SYSTEM, USER], "add_generation_prompt": True, "enable_thinking": True, "date_string": "1 Jan 2025", **TOKENS})
    out.append({"messages": [SYSTEM, USER], "tools": [TOOL], "tools_in_user_message": False, "documents": [{"title": "T", "text": "body"}], **TOKENS})
    for chat in ([SYSTEM, USER, TWO_CALLS, RESULTS], [USER, TWO_CALLS, RESULTS, ANSWER, AGAIN]):
        flat = [one for part in chat for one in (part if isinstance(part, list) else [part])]
        for extra in ({}, {"tools_in_user_message": False}):
            out.append({"messages": flat, "tools": [NESTED, PLAIN, TOOL], "add_generation_prompt": True, **extra, **TOKENS})
    # What one family or another asks for besides.
    for extra in ({"builtin_tools": ["brave_search", "wolfram_alpha"], "tools": [TOOL]}, {"date_string": "26 Jul 2024", "tools": [NESTED]}, {"custom_tools": [TOOL]}, {"tools": []}):
        for chat in ([SYSTEM, USER], [USER, CALL, RESULT, ANSWER, AGAIN]):
            out.append({"messages": chat, "add_generation_prompt": True, **extra, **TOKENS})
    long = [SYSTEM] + [dict(turn, content=f"{turn['content']}{i}") for i in range(9) for turn in (USER, ANSWER)] + [AGAIN]
    out.append({"messages": long, "add_generation_prompt": True, **TOKENS})
    out.append({"messages": [dict(SYSTEM, content=[{"type": "text", "text": "Be brief."}]), dict(USER, content=[{"type": "text", "text": "Hello"}])], "add_generation_prompt": True, **TOKENS})
    return out


def reference(template, variables, now=None):
    """(text, None) or (None, error) of transformers' own rendering."""
    import copy
    import datetime
    from transformers.utils import chat_template_utils as c

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(now, tz)

    if now is not None:
        c.datetime = Clock
    given = copy.deepcopy(variables)
    messages = given.pop("messages")
    try:
        return c.render_jinja_template([messages], chat_template=template, **given)[0][0], None
    except Exception as error:  # what the reference refuses, ours must refuse
        return None, f"{type(error).__name__}: {error}"
