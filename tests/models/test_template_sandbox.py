"""Templates that mean harm: they reach nothing outside, and every one comes to an end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ferrule.models.chat_template import ChatTemplate
from ferrule.models.errors import ChatTemplateError

REACHING = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ ''|attr('__cla' ~ 'ss__') }}",
    "{{ ()|attr('__class__')|attr('__base__') }}",
    "{{ nope.__class__ }}",
    "{{ nope.__init__.__globals__ }}",
    "{{ (nope|default(messages)).__class__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ self|attr('_TemplateReference__context') }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ namespace(__class__=1) }}",
    "{% set ns = namespace() %}{{ ns.__class__ }}",
    "{% set ns = namespace() %}{{ ns._Namespace__attrs }}",
    "{% set ns = namespace() %}{{ ns|attr('__init__') }}",
    "{{ range.__self__ }}",
    "{{ dict.__func__.__globals__ }}",
    "{{ dict.__base__ }}",
    "{{ dict.fromkeys([1]) }}",
    "{{ raise_exception.__self__.getattr }}",
    "{{ strftime_now.__func__.__globals__.__builtins__ }}",
    "{{ ''.upper.__self__ }}",
    "{{ ''.format.__globals__ }}",
    "{{ '{0.__class__}'.format('') }}",
    "{{ '{x.__class__.__mro__}'.format(x='') }}",
    "{{ '{0.__init__.__globals__}'.format(nope) }}",
    "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "{{ ('{0.__cl' ~ 'ass__}').format(1) }}",
    "{{ ('<'|safe).format }}{{ ('{0.__class__}'|safe).format(1) }}",
    "{{ ('<'|safe).unescape() }}",
    "{{ messages|map(attribute='__class__')|list }}",
    "{{ messages|map('attr', '__class__')|list }}",
    "{{ messages|selectattr('__class__')|list }}",
    "{{ messages|groupby('__class__') }}",
    "{{ messages|sort(attribute='__class__') }}",
    "{{ messages|sum(attribute='__class__') }}",
    "{{ messages.append(1) }}",
    "{{ messages.clear() }}",
    "{{ messages[0].update({}) }}",
    "{{ messages[0].pop('role') }}",
    "{{ messages[0].setdefault('x', 1) }}",
    "{{ ''.encode('idna') }}",
    "{{ (1).to_bytes(10, 'big') }}",
    "{{ (1).real }}",
    "{% macro m() %}{% endmacro %}{{ m.__call__ }}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m|attr('_environment') }}",
    "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}{% call m() %}{% endcall %}",
    "{% for x in [1] %}{{ loop._iterator }}{% endfor %}",
    "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{{ messages() }}",
    "{{ lipsum(100) }}",
    "{{ ''|random }}",
    "{{ ''|pprint }}",
    "{{ ''|urlize }}",
    "{% include 'x' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import system %}",
    "{% extends 'x' %}",
    "{% block x %}{% endblock %}",
    "{% autoescape true %}{% endautoescape %}",
    "{% do messages.append(1) %}",
    "{{ config.items() }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ request.application.__globals__ }}",
    "{{ [].__class__.__base__.__subclasses__()[40]('/etc/passwd').read() }}",
    "{{ messages['__class__'] }}",
    "{{ ('a'|list).__class__ }}",
    "{{ {}.items().__class__ }}",
    "{{ ({}.items())|attr('mapping') }}",
    "{{ range(3).__reduce__() }}",
    "{{ range(3).start }}",
    "{{ ([1]|map('string')).__next__ }}",
    "{{ ([1]|map('string'))._items }}",
    "{{ ''.join.__func__ }}",
    "{{ ''.upper._environment }}",
    "{{ messages[0].get._object }}",
]


@pytest.mark.parametrize("source", REACHING)
def test_nothing_outside_is_reached(source):
    messages = [{"role": "user", "content": "x"}]
    with pytest.raises(ChatTemplateError) as caught:
        ChatTemplate(source, {"bos_token": "<bos>", "eos_token": "<eos>"}).render(messages)
    assert "\n" not in str(caught.value)
    assert messages == [{"role": "user", "content": "x"}]


DOUBLED = "{% set ns = namespace(a=START) %}{% for i in range(200) %}{% set ns.a = STEP %}{% endfor %}"
ENDLESS = [
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{% for b in range(100000) if false %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{{ range(100000)|list|length }}{% endfor %}",
    "{% for a in range(100000) %}{{ range(100000)|sum }}{% endfor %}",
    "{% for a in range(100000) %}{{ range(100000)|map('string')|list|length }}{% endfor %}",
    "{% for a in range(100000) %}{{ 100001 in range(100000)|list }}{% endfor %}",
    "{% for a in range(100000) %}{{ range(100000)|select('odd')|reject('even')|first }}{% endfor %}",
    "{% for a in range(100000) %}{% for b in range(100000) %}{% break %}{% endfor %}{{ range(100000)|sort|first }}{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(50) }}",
    "{% macro f() %}{{ caller() }}{% endmacro %}{% macro g() %}{% call f() %}{{ g() }}{% endcall %}{% endmacro %}{{ g() }}",
    "{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}",
    "{% for x in [1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
    "{% for x in range(100000) %}{{ loop.length }}{% for y in range(100000) %}{{ loop.changed(y) }}{% endfor %}{% endfor %}",
    DOUBLED.replace("START", "'x'").replace("STEP", "ns.a + ns.a") + "{{ ns.a }}",
    DOUBLED.replace("START", "'x'").replace("STEP", "ns.a ~ ns.a") + "{{ ns.a }}",
    DOUBLED.replace("START", "'x'").replace("STEP", "ns.a * 2") + "{{ ns.a }}",
    DOUBLED.replace("START", "'x'").replace("STEP", "'%s%s' % (ns.a, ns.a)") + "{{ ns.a }}",
    DOUBLED.replace("START", "'x'").replace("STEP", "'{0}{0}'.format(ns.a)") + "{{ ns.a }}",
    DOUBLED.replace("START", "'x'").replace("STEP", "ns.a.replace('x', 'xx')") + "{{ ns.a }}",
    DOUBLED.replace("START", "'x'").replace("STEP", "ns.a.join('abc')") + "{{ ns.a }}",
    DOUBLED.replace("START", "'x'").replace("STEP", "[ns.a, ns.a]|join") + "{{ ns.a }}",
    DOUBLED.replace("START", "'<'").replace("STEP", "ns.a|e|string|replace('&', '<<')") + "{{ ns.a }}",
    DOUBLED.replace("START", "[1]").replace("STEP", "ns.a + ns.a") + "{{ ns.a }}",
    DOUBLED.replace("START", "[1]").replace("STEP", "[ns.a, ns.a]") + "{{ ns.a }}",
    DOUBLED.replace("START", "[1]").replace("STEP", "(ns.a, ns.a)") + "{{ {ns.a: 1} }}",
    DOUBLED.replace("START", "[1]").replace("STEP", "{'a': ns.a, 'b': ns.a}") + "{{ ns.a|tojson }}",
    DOUBLED.replace("START", "[1]").replace("STEP", "dict(a=ns.a, b=ns.a)") + "{{ ns.a|string|length }}",
    DOUBLED.replace("START", "[1]").replace("STEP", "[ns.a, ns.a]|list") + "{% set b = ns.a %}{{ b == ns.a }}",
    DOUBLED.replace("START", "3").replace("STEP", "ns.a * ns.a") + "{{ ns.a }}",
    DOUBLED.replace("START", "3").replace("STEP", "ns.a ** 7") + "{{ ns.a % 7 }}",
    "".join(f"{{% set x{i + 1} %}}{{{{ x{i} }}}}{{{{ x{i} }}}}{{% endset %}}" for i in range(60)).replace("x0 ", "'xx' ")
    + "{{ x60 }}",
    "".join(f"{{% macro x{i + 1}() %}}{{{{ x{i}() }}}}{{{{ x{i}() }}}}{{% endmacro %}}" for i in range(30)).replace(
        "x0()", "'x'"
    )
    + "{{ x30() }}",
    "{{ 'x' * 10 ** 10 }}",
    "{{ 10 ** 10 * 'x' }}",
    "{{ [1] * 10 ** 10 }}",
    "{{ 9 ** 9 ** 9 ** 9 ** 9 }}",
    "{{ 2 ** (2 ** 40) }}",
    "{{ 'x'|center(10 ** 10) }}",
    "{{ 'x'.center(10 ** 10) }}",
    "{{ 'x'.ljust(width=10 ** 10) }}{{ 'x'.ljust(10 ** 10) }}",
    "{{ 'x'.zfill(10 ** 10) }}",
    "{{ ('\\t' * 1000).expandtabs(10 ** 9) }}",
    "{{ 'x\\ny'|indent(10 ** 10) }}",
    "{{ ('\\n' * 1000)|indent('x' * 1000000, blank=true) }}",
    "{{ '%10000000000d' % 1 }}",
    "{{ '%.1000000000f' % 1.5 }}",
    "{{ '%*d' % (10 ** 9, 1) }}",
    "{{ '%((a))1000000000d' % {'(a)': 1} }}",
    "{{ ('%s' * 100000) % (range(100000)|list) }}",
    "{{ '%1000000000d'|format(1) }}",
    "{{ '%1000000000d' is odd }}",
    "{{ '{:10000000000}'.format(1) }}",
    "{{ '{:{}}'.format(1, 10 ** 9) }}",
    "{{ '{:.1000000000f}'.format(1.5) }}",
    "{{ ('x' * 100000).replace('', 'x' * 100000) }}",
    "{{ ('x' * 100000)|replace('x', 'x' * 100000) }}",
    "{{ ('x' * 100000).join('x' * 100000) }}",
    "{{ ['x' * 100000] * 100000 }}",
    "{{ (['x' * 100000] * 1000)|join('x' * 1000000) }}",
    "{{ [1]|batch(10 ** 9, 0)|list }}",
    "{{ [1]|slice(10 ** 9)|list }}",
    "{{ [[1] * 1000] * 1000000 }}",
    "{{ ([[1] * 1000] * 10000)|sum(start=[]) }}",
    "{{ [1]|tojson(indent=10 ** 9) }}",
    "{{ [[1] * 1000]|tojson(separators=('x' * 1000000, ':')) }}",
    "{{ 1.5|round(10 ** 9) }}",
    "{{ ('9' * 1000000)|int }}",
    "{{ ('f' * 1000000)|int(0, 16) }}",
    "{{ range(10 ** 12) }}",
    "{{ range(10 ** 12)|list }}",
    "{{ strftime_now('%Y' * 100000) }}",
    "{{ strftime_now('%1000000000Y') }}",
    "{% set x = 'a' * 500000 %}{% for i in range(100000) %}{{ x.rfind('b' + x) }}{% endfor %}",
    "{% set x = 'a' * 5000000 %}{% for i in range(100000) %}{{ x.split('a')|length }}{% endfor %}",
    "{% set x = 'ab ' * 5000000 %}{% for i in range(100000) %}{{ x.split()|length }}{% endfor %}",
    "{% set x = 'a' * 5000000 %}{% for i in range(100000) %}{{ x|upper|length }}{{ x[1:]|length }}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(100000) %}{% set ns.x = ns.x|map('string') %}{% endfor %}{{ ns.x|list }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=(1,) * 1000) %}{% for i in range(4) %}{% set ns.x = (ns.x,) * 10 %}{% endfor %}"
    "{% for i in range(100000) %}{% set d = {ns.x: 1} %}{% endfor %}",
    "{{ raise_exception('x' * 10 ** 10) }}",
    "{{ '0' * 10 ** 9 }}",
    "{{ 'x'.ljust(10 ** 7)|title|wordcount }}" * 20,
    "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
    "{{ " + "not " * 5000 + "1 }}",
    "{{ 1" + " + 1" * 20000 + " }}",
    "{{ x" + ".x" * 20000 + " }}",
    "{{ x" + "|upper" * 20000 + " }}",
    "{% for a in [1] %}" * 50 + "{% endfor %}" * 50,
    "{% if 1 %}" * 5000 + "{% endif %}" * 5000,
    "{{ " + "9" * 10000 + " }}",
    "{{ 0x" + "f" * 100000 + " * 2 }}",
    "{{ " + "[" * 200 + "]" * 200 + " }}",
    "{{x~x}}" * 16000,
    "x" * (1 << 20),
]


def memory(peak: bool = False) -> int:
    """Bytes in use by this process, or the most since it was last asked for those; 0 where the system does not say."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    found = dict(line.split(":", 1) for line in status.read_text().splitlines())["VmHWM" if peak else "VmRSS"]
    if not peak:
        Path("/proc/self/clear_refs").write_text("5")
    return int(found.split()[0]) * 1024


@pytest.mark.parametrize("source", ENDLESS, ids=lambda source: source[:50])
def test_every_template_comes_to_an_end(source):
    before, began = memory(), time.thread_time()
    with pytest.raises(ChatTemplateError) as caught:
        ChatTemplate(source).render([{"role": "user", "content": "x"}])
    assert time.thread_time() - began < 3
    assert memory(peak=True) - before < 400e6
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
