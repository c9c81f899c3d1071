"""Writes tests/text/data/chat_templates.json: our own templates, conversations, and what transformers renders (jinja2 with its settings)."""
import json
import pathlib

from chat_template_cases import SYSTEM, USER, ANSWER, AGAIN, CALL, RESULT, PARTS, REASON, TOOL, TOKENS, reference

TEMPLATES = {
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}\n{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}\n",
    "alternate": "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set sys = messages[0].content | trim %}{% else %}{% set rest = messages %}{% set sys = false %}{% endif %}"
                 "{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
                 "{% if loop.first and sys is not false %}<<SYS>>{{ sys }}<</SYS>>{% endif %}{{ bos_token + '[' ~ m.content.strip() ~ ']' }}{{ eos_token if not loop.last }}{% endfor %}",
    "tools": "{%- macro show(name, p, indent=2) %}\n  {{- name }}: {{ p.type | default('any') }}{% if p.enum is defined %} of {{ p.enum | join('|') }}{% endif %} {{ p.get('default', '-') }}\n{% endmacro -%}\n"
             "{%- if tools is not none and tools %}\n{% for t in tools %}\n{{ t | tojson }}\n{{ t | tojson(indent=2) }}\n  {% for name, p in t.function.parameters.properties.items() %}\n{{ show(name, p) }}\n  {% endfor %}\n{% endfor %}\n{%- endif %}\n"
             "{% for m in messages %}{% if m.tool_calls is defined and m.tool_calls %}{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments | tojson }}{{ c.function.arguments | items | list }}{% endfor %}{% else %}{{ m.role | upper }}={{ m.content }}{% endif %};{% endfor %}",
    "namespace": "{% set ns = namespace(found=false, n=0) %}{% for m in messages[::-1] %}{% if not ns.found and m.role == 'user' %}{% set ns.found = true %}{% set ns.n = loop.revindex0 %}{% continue %}{% endif %}{{ loop.index }}/{{ loop.length }}{% if loop.index > 3 %}{% break %}{% endif %}{% else %}none{% endfor %}{{ ns.n }}{{ ns.missing is defined }}",
    "parts": "{% for m in messages %}{% if m.content is string %}{{ m.content | length }}{% elif m['content'] is iterable and m.content is not mapping %}{% for p in m.content | selectattr('type', 'equalto', 'text') | map(attribute='text') %}{{ p | trim | title }}{% endfor %}{{ m.content | rejectattr('text', 'defined') | list | length }}{% endif %}{% generation %}{% set x = 1 %}.{% endgeneration %}{{ x is undefined }}{% endfor %}",
    "think": "{% for m in messages %}{% set c = m.content %}{% if c is string and '</think>' in c %}{{ c.split('</think>')[-1].lstrip('\\n') }}|{{ c.split('</think>')[0].rstrip('\\n').split('<think>')[-1] }}{% endif %}{{ m.reasoning_content or '' }}{% if m.thinking is defined %}T{% endif %}{% endfor %}",
    "space": "  {%- if true %}\n   a  \n   {%+ if true %}b{% endif +%}\n   {# note #}\n{% raw %} {{ x }} {% endraw %}\n\t{% if true -%}   \n  c {{- ' d' -}}  \n e\n  {% endif %}{% endif %}\n{{ '\\x41\\u00e9\\n' }}\n\n",
    "values": "{{ [1, 2.0, 1e20, 1e-5, 'a\"b', \"a'b\", none, true, (1,), {'k': [1]}] }}{{ 7 // -2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 7 / 2 }} {{ 1 + true }} {{ 'ab' * 2 }} {{ [3, 1, 2] | sort | join(',') }} {{ 'héllo'[1:4] }} {{ 'abc'[::-1] }} {{ 'a-b c' | title }} "
              "{{ {'b': 1, 'a': 2} | dictsort }} {{ ['A', 'a', 'b'] | unique | list }} {{ '12x' | int(5) }} {{ 'x\\ny\\n\\nz' | indent(2, true) }} {{ 3.14159 | round(2) }} {{ [1, [2]] == [1, [2]] }} {{ 'a' in {'a': 1} }} {{ 1 < 2 < 3 }} {{ not 1 in [2] }} {{ '%s-%d' % ('a', 3) }} {{ range(5, 0, -2) | list }} "
              "{{ 'Straße' | upper }} {{ {'z': 1, 'a': 'é\\u2028'} | tojson(sort_keys=true, ensure_ascii=true) }} {{ 5 is divisibleby 5 }} {{ undefined_thing | default('d') }} {{ '' | default('e', true) }} {{ messages | map(attribute='role') | unique | join('/') }} {{ namespace(a=1).a }} {{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'abcabc'.replace('b', 'x', 1) }}",
    "blocks": "{% set text %}  {{ messages[0].role }} {% endset %}[{{ text | trim }}]{% filter upper | replace('S', 'z') %}yes{% endfilter %}{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{% for a, b in [(1, 2), (3, 4)] if b > 2 %}{{ a }}{{ loop.length }}{{ loop.previtem is defined }}{% endfor %}{{ strftime_now('%d %b %Y') }}",
    "calls": "{% macro show(a, b=2) %}({{ a }},{{ b }},{{ varargs }},{{ kwargs }}){% endmacro %}{% macro wrap(title) %}<{{ title }}:{{ caller(title, n=3) if caller is defined else 'alone' }}>{% endmacro %}"
             "{% macro twice() %}{{ caller() }}{{ caller() }}{% endmacro %}{% macro plain(a) %}{{ a }}{% endmacro %}"
             "{% set given = [messages[0].role, 5, 6] %}{{ show(*given) }}{{ show(1, *given) }}{{ show(*given, **{'c': 7}) }}{{ show(b=1, **{'a': [2]}) }}{{ dict(*[[['k', 1]]], **{'l': 2}) }}{{ range(*[1, 4]) | list }}{{ 'a-b' | replace(*['-', '+']) }}"
             "{% call(t, n=1) wrap('x') %}{{ t }}{{ n }}{{ messages | length }}{% endcall %}{{ wrap('y') }}{% for m in messages %}{% call twice() %}{% call(t, n) wrap(m.role) %}{{ loop.index }}{{ t }}{{ n }}{% endcall %}{% endcall %}{% endfor %}{{ [plain, show][0](*['p']) }}",
    "calls_wrong": "{% macro plain(a) %}{{ a }}{% endmacro %}{% if messages | length == 1 %}{{ plain(1, 2) }}{% elif messages | length == 2 %}{{ plain(**{'b': 1}) }}{% elif messages | length == 3 %}{% call plain(1) %}x{% endcall %}{% else %}{{ plain(*5) }}{% endif %}",
    "formats": "{{ '<{}>'.format(messages[0].role) }}{{ '{0}{1}{0}'.format('a', 2) }}{{ '{a}{b!r}{{}}'.format(a=1, b='q') }}{{ '{:>6}|{:<4}|{:^5}|{:*^7}|{:.2}'.format('é', 1, 'ab', 'x', 'abc') }}"
               "{{ '{:.2f}|{:05d}|{:+d}|{:,}|{:x}|{:e}|{:.0%}|{:8.3f}|{: d}|{:g}|{:6}'.format(3.14159, 42, 7, 1234567, 255, 12345.678, 0.25, -2.5, 3, 0.0001, 1.5) }}{{ '{0[role]}{0.role}{1[1]}'.format(messages[0], ['x', 'y']) }}{{ '{}'.format(none) }}{{ '{}{}'.format(*[1, true]) }}{{ '{:5}|{:>5}'.format(true, false) }}",
    "formats_wrong": "{% if messages | length == 1 %}{{ '{}{}'.format(1) }}{% elif messages | length == 2 %}{{ '{'.format(1) }}{% elif messages | length == 3 %}{{ '{:d}'.format('a') }}{% else %}{{ '{}{0}'.format(1) }}{% endif %}",
    "markup": "{% set m = '<b>' | safe %}{{ m + '<' }}{{ '<' + m }}{{ m ~ '<' }}{{ ['<', m] | join('&') }}{{ m | upper + '<' }}{{ m | trim + '\"' }}{{ m | replace('b', '<') + '<' }}{{ m.replace('b', '<') }}{{ m[0] + '<' }}{{ m[:2] + '<' }}{{ m.split('b')[0] + '<' }}{{ m.format('<') }}"
              "{{ ('{}%s' | safe).format('<') }}{{ ('%s' | safe) % '<' }}{{ m * 2 + '<' }}{{ m | tojson }}{{ m | title + '<' }}{{ m | capitalize + \"'\" }}{{ m | string + '<' }}{{ m | indent + '<' }}{{ m == '<b>' }}{{ m is string }}{{ m | length }}{{ '&<' | e }}{{ '<' | escape | e }}{{ 3 | safe + '<' }}"
              "{% for x in messages %}{% if x.content is string %}{{ ('[' | safe) + x.content + ('\"' ~ x.role) }}{% endif %}{% endfor %}{{ ', ' | safe | join(['<']) }}{{ (', ' | safe).join(['<', m]) }}",
    "later": "{% if messages | length == 1 %}{{ messages[0].role | nothing_known }}{% elif messages | length == 2 %}{{ 1 is nothing_known }}{% else %}fine{% if messages[0] is mapping and false %}{{ 1 | nothing_known }}{% endif %}{% endif %}",
    "slices": "{{ messages[0].content[:3] }}",
    "raises": "{{ messages[0].nothing.more }}",
}
CHATS = [[USER], [SYSTEM, USER, ANSWER, AGAIN], [USER, ANSWER, AGAIN], [USER, CALL, RESULT, ANSWER], [PARTS], [USER, REASON, AGAIN], [USER, USER], [ANSWER]]
NOW = 1735732800
out = {"now": NOW, "cases": []}
for name, template in TEMPLATES.items():
    for chat in CHATS:
        variables = {"messages": chat, "add_generation_prompt": True, **TOKENS}
        if name == "tools":
            variables["tools"] = [TOOL]
        text, error = reference(template, variables, NOW)
        out["cases"].append({"name": name, "template": template, "variables": variables, "text": text})
path = pathlib.Path(__file__).parent.parent / "tests/text/data/chat_templates.json"
path.write_text(json.dumps(out, ensure_ascii=False, indent=0) + "\n")
print(len(out["cases"]), sum(c["text"] is None for c in out["cases"]), "refused")
