"""Templates that share, repeat and hold values until a process has no memory: a budget stops each before."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import jinja2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from livingworld.errors import TemplateLimitExceeded
from livingworld.models.scripts.kinds import ScriptKinds
from livingworld.models.scripts.template_limits import LIMITS, TemplateLimits

#: Forty times a value that holds the one before twice.
FORTY: Final = "{%% set ns = namespace(a=(1,), b=(1,)) %%}{%% for i in range(40) %%}%s{%% endfor %%}"
DOUBLED: Final = FORTY % "{% set ns.a = [ns.a, ns.a] %}"
LONG: Final = "{% set a = 'x' * 9999 %}"


def many(values: str) -> str:
    """Return a template with a value in each of 1500 variables."""
    return "{% set t = 'яx ' * 9999 %}" + "".join(f"{{% set a{n} = {values % n} %}}" for n in range(1500))


STOPPED: Final = {
    "lists doubled, as a text": (DOUBLED + "{{ ns.a }}", "size"),
    "lists doubled, as JSON": (DOUBLED + "{{ ns.a|tojson }}", "size"),
    "lists doubled, joined": (DOUBLED + "{{ ns.a|join }}", "size"),
    "dicts doubled": (FORTY % "{% set ns.a = {1: ns.a, 2: ns.a} %}" + "{{ ns.a }}", "size"),
    "dicts doubled by a call": (FORTY % "{% set ns.a = dict(a=ns.a, b=ns.a) %}" + "{{ ns.a }}", "size"),
    "tuples doubled, as a key": (FORTY % "{% set ns.a = (ns.a, ns.a) %}" + "{{ {ns.a: 1} }}", "size"),
    "tuples doubled by a cycler": (FORTY % "{% set ns.a = cycler(ns.a, ns.a).items %}" + "{{ ns.a|length }}", "size"),
    "tuples doubled by a macro": (
        "{% macro twice() %}{% set ns.a = varargs %}{% endmacro %}" + FORTY % "{{ twice(ns.a, ns.a) }}" + "{{ ns.a }}",
        "size",
    ),
    "lists doubled, compared": (
        FORTY % "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}" + "{{ ns.a == ns.b }}", "size"
    ),
    "lists doubled by a sum": (FORTY % "{% set ns.a = [[ns.a], [ns.a]]|sum(start=[]) %}" + "{{ ns.a }}", "size"),
    "one text in a long list, unique": (LONG + "{{ ([a] * 9999)|unique|list }}", "size"),
    "one text in a long list, sorted": (LONG + "{{ ([a] * 9999)|sort }}", "size"),
    "one text in a long list, joined": (LONG + "{{ ([a] * 9999)|join }}", "size"),
    "one text in a long list, as a text": (LONG + "{{ ([a] * 9999)|string }}", "size"),
    "one text in a long list, as JSON": (LONG + "{{ ([a] * 9999)|tojson }}", "size"),
    "one text in a long list, written": (LONG + "{{ [a] * 9999 }}", "size"),
    "one text in a long list, beside a text": (LONG + "{{ [a] * 9999 ~ 'x' }}", "size"),
    "one text in a long list, formatted": (LONG + "{{ '{}'.format([a] * 9999) }}", "size"),
    "one text in a long list, for a percent sign": (LONG + "{{ '%s' % ([a] * 9999, ) }}", "size"),
    "one text in a long list, for a filter": (LONG + "{{ '%s'|format([a] * 9999) }}", "size"),
    "one text in a long dict": (LONG + "{{ {}.fromkeys(range(9999), a) }}", "size"),
    "one attribute of many": (LONG + "{{ ([{'b': a}] * 9999)|join(attribute='b') }}", "size"),
    "one attribute of many, sorted": (LONG + "{{ ([{'b': a}] * 9999)|sort(attribute='c,b') }}", "size"),
    "one attribute of many, added": (
        "{% set a = range(19999)|list %}{{ ([{'b': a}] * 9999)|sum('b', []) }}", "size"
    ),
    "a mapped default": (LONG + "{{ ([''] * 9999)|map('default', a, true)|unique|list }}", "size"),
    "mapped lists": ("{{ (['x' * 9999] * 9999)|map('list')|list }}", "total"),
    "one text under many names": (LONG + "{{ ('%(a)s' * 9999) % {'a': a} }}", "size"),
    "one text in many fields": (LONG + "{{ ('{0}' * 9999).format(a) }}", "size"),
    "one text in many fields with names": (LONG + "{{ ('{a}' * 9999).format(a=a) }}", "size"),
    "one text in many fields, mapped": (LONG + "{{ ('{a}' * 9999).format_map({'a': a}) }}", "size"),
    "wide fields": ("{{ ('{:>99999}' * 9999).format(*range(9999)) }}", "size"),
    "wide fields for a percent sign": ("{{ ('%99999d' * 9999) % range(9999) }}", "size"),
    "tabs": ("{{ ('\t' * 99999).expandtabs(99999) }}", "size"),
    "concatenating": ("{% set a = 'x' * 99999 %}{{ (a ~ a)|length }}", "size"),
    "concatenating lists": ("{% set a = range(19999)|list %}{{ (a ~ a)|length }}", "size"),
    "replacing in a list": ("{{ ([1] * 9999)|replace('1', range(9999)|list) }}", "size"),
    "replacing what is named": (LONG + "{{ a|replace(new=a, old='x') }}", "size"),
    "expanding what is named": ("{{ ('\t' * 99999).expandtabs(tabsize=99999) }}", "size"),
    "a codec that is named": ("{{ ('я' * 24999).encode(errors='strict', encoding='punycode') }}", "size"),
    "splitting from the end": ("{% set a = 'a' * 24999 %}{{ (a + a + a).rsplit(maxsplit=1, sep='b' + a) }}", "size"),
    "joining a text": (LONG + "{{ a|join(a) }}", "size"),
    "joining by a method": (LONG + "{{ a.join(a) }}", "size"),
    "joining what comes one by one": (LONG + "{{ range(9999)|map('string')|join(a) }}", "size"),
    "lines that end in other ways": ("{{ ('x\r' * 90000)|indent(99999) }}", "size"),
    "many products": (many("[1] * (24999 - %d)"), "total"),
    "many that come one by one": ("{% for i in range(24999) %}{% set x = [1]|map('abs') %}{% endfor %}", "total"),
    "many literals": ("{% for i in range(34999) %}{% set x = [i, i, i, i, i, i, i, i, i, i] %}{% endfor %}", "total"),
    "one text under many names, for a filter": (LONG + "{{ ('%(a)s' * 9999)|format(a=a) }}", "size"),
    "one text in long lists, tested": (LONG + "{{ ([a] * 9999) is eq([a] * 9999) }}", "size"),
    "one text in long lists, compared": (LONG + "{{ ([a] * 9999) == ([a] * 9999) }}", "size"),
    "more items than a list may have": ("{{ ('x ' * 49999).split()|length }}", "size"),
    "more items by a product": ("{{ ([1] * 49999)|length }}", "size"),
    "many texts": (many("'x' * (99999 - %d)"), "total"),
    "many wide texts": (many("'\U0001f600' * (99999 - %d)"), "total"),
    "many texts in parts": (many("t[%d:]"), "total"),
    "many lists of letters": (many("t[:19999 - %d]|list"), "total"),
    "many lists of letters of their own": (
        "{% set t = 'я' * 24999 %}" + "".join(f"{{% set a{n} = t[{n}:]|list %}}" for n in range(60)), "total"
    ),
    "many lists of words": (many("t.split(' ', 9999 - %d)"), "total"),
    "many iterators": (many("[t, %d]|map('upper')|list"), "total"),
    "iterators in iterators": (
        "{% set ns = namespace(a=[1]) %}{% for i in range(9999) %}{% set ns.a = ns.a|map('abs') %}{% endfor %}", "depth"
    ),
    "tuples in tuples": (
        "{% set ns = namespace(a=1) %}{% for i in range(99999) %}{% set ns.a = (ns.a, ) %}{% endfor %}", "depth"
    ),
    "a namespace in a long list": ("{% set ns = namespace(a='x' * 9999) %}{{ [ns] * 9999 }}", "size"),
    "looking from the end": ("{% set a = 'a' * 24999 %}{{ (a + a + a).rfind('b' + a) }}", "size"),
    "stripping many letters": ("{{ ('a' * 99999).strip('b' * 49999 + 'a') }}", "size"),
    "trimming many letters": ("{{ ('a' * 99999)|trim('b' * 49999 + 'a') }}", "size"),
    "wrapping a long word": ("{{ ('x' * 99999)|wordwrap(1) }}", "size"),
    "links in a long word": ("{{ ('(' * 49999 + '@' + ')' * 49999)|urlize }}", "size"),
    "names of hosts": ("{{ ('я' * 24999).encode('punycode') }}", "size"),
    "a precise number": ("{{ 2.5|round(999999, 'ceil') }}", "size"),
    "a number of bytes": ("{{ (1).from_bytes(('x' * 99999).encode(), 'big') > 1 }}", "size"),
    "looking for each in a list": ("{{ range(99999)|select('in', range(-99999, 0)|list)|list }}", "time"),
}  # fmt: skip


@pytest.mark.parametrize("name", STOPPED)
def test_a_template_that_shares_and_repeats_is_stopped_before_it_has_the_memory(name: str) -> None:
    body, limit = STOPPED[name]
    limits = LIMITS if limit == "time" else replace(LIMITS, output=100_000, seconds=60)
    compiled = ScriptKinds(limits).check("narrator", body, "jinja2").compiled
    tracemalloc.start()
    try:
        with pytest.raises(TemplateLimitExceeded) as stopped:
            compiled.render()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stopped.value.limit == limit
    assert most < (15_000_000 if limit == "total" else 10_000_000)


def test_items_are_counted_one_by_one() -> None:
    # Below tracemalloc, with the limits of the others, it takes seven seconds.
    body = "{% for i in range(99) %}{{ range(9999)|map('abs')|sum }}{% endfor %}"
    compiled = ScriptKinds(replace(LIMITS, output=9999, seconds=60)).check("narrator", body, "jinja2").compiled

    with pytest.raises(TemplateLimitExceeded, match="total"):
        compiled.render()


@pytest.mark.parametrize(
    "written", ["{{ a }}", "{{ a|tojson }}", "{{ a ~ 1 }}", "{{ '%s' % (a, ) }}", "{{ a|string }}"]
)
def test_a_list_that_is_longer_than_the_output_is_not_written(written: str) -> None:
    body = "{% set t = 'x' * 9999 %}{% set a = [t] * 900 %}" + written
    compiled = ScriptKinds(replace(LIMITS, seconds=60)).check("narrator", body, "jinja2").compiled

    tracemalloc.start()
    try:
        with pytest.raises(TemplateLimitExceeded, match="size"):
            compiled.render()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3_000_000


def test_a_namespace_is_written_without_its_values() -> None:
    compiled = ScriptKinds().check("narrator", "{{ [namespace(a=1)] }}", "jinja2").compiled

    assert compiled.render() == "[<Namespace>]"


#: What a template may be made of: each takes two values and gives one.
OPERATIONS: Final = [
    "[{0}, {1}]", "({0}, {1})", "{{'a': {0}, 'b': {1}}}", "dict(a={0}, b={1})", "cycler({0}, {1}).items",
    "({0} ~ {1})", "({0} + {1})", "({0} * 99)", "({0} * {1})", "({0} % {1})", "{0}[1:]", "({0} == {1})",
    "({0} in {1})", "{0}|list", "{0}|join({1})", "{0}|join(', ')", "{0}|unique|list", "{0}|sort", "{0}|map('string')",
    "{0}|map('default', {1}, true)", "{0}|batch(99, {1})|list", "{0}|slice(9)|list", "{0}|tojson", "{0}|string",
    "{0}|pprint", "{0}|escape", "{0}|upper", "{0}|replace('1', {1})", "{0}|indent(99)", "{0}|format({1})",
    "'{{0}}{{1}}{{0}}'.format({0}, {1})", "{0}|items|list", "{0}|groupby(0)", "{0}|sum(start=[])", "{0}|max",
    "{0}|first", "{0}|reverse|list", "{0}|urlencode", "{0}|wordwrap(2)", "{0}.split('1')", "{0}.encode()",
    "{0}.items()|list", "{{}}.fromkeys({0}, {1})", "{0}|select('eq', {1})|list", "{0}|center(999)", "{0}|dictsort",
    "{0}.join({1})", "namespace(a={0}, b={1})", "{0}|length", "{0}|count ** 9",
]  # fmt: skip
FIRST: Final = ["'1x'", "range(99)|list", "'я1' * 999", "{'a': '1' * 99, 1: [2]}", "31"]
SMALL: Final = TemplateLimits(characters=100_000, tags=2_000, output=10_000, seconds=60)
STEPS: Final = st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 99), st.integers(0, 99)), max_size=30)


def composed(steps: list[tuple[str, int, int]]) -> str:
    """Return a template that makes values of values, and shows each of them to a witness."""
    lines = [f"{{% set v{number} = {value} %}}" for number, value in enumerate(FIRST)]
    for number, (operation, left, right) in enumerate(steps, len(FIRST)):
        made = operation.format(f"v{number - 1 - left % number}", f"v{number - 1 - right % number}")
        lines.append(f"{{% set v{number} = {made} %}}{{{{ seen(v{number}) }}}}")
    return "".join(lines) + "{{ v0 }}"


#: What values raise that do not fit together.
UNFIT: Final = (TypeError, ValueError, LookupError, AttributeError, OverflowError, jinja2.TemplateError)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@example(steps=[("[{0}, {1}]", 0, 0)] * 30)
@example(steps=[("[{0}, {1}]", 0, 0), ("[{0}, {1}]", 0, 3), ("[{0}, {1}]", 0, 0), ("{0}|replace('1', {1})", 0, 0)])
@example(steps=[("({0} ~ {1})", 3, 3), *[("({0} ~ {1})", 0, 0)] * 20])
@example(steps=[("({0} * 99)", 3, 0), ("[{0}, {1}]", 0, 0), *[("({0} * 99)", 0, 0)] * 3, ("{0}|unique|list", 0, 0)])
@given(steps=STEPS)
def test_no_composition_of_operations_makes_more_than_its_limits(steps: list[tuple[str, int, int]]) -> None:
    compiled = ScriptKinds(SMALL).check("narrator", composed(steps), "jinja2").compiled
    seen: list[Any] = []

    def see(value: object) -> str:
        seen.append(value)
        return ""

    tracemalloc.start()
    try:
        with suppress(TemplateLimitExceeded, *UNFIT):
            compiled.render(seen=see)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * SMALL.total
    assert all(len(each) <= SMALL.output for each in seen if isinstance(each, (str, bytes)))
    assert all(len(each) <= SMALL.items for each in seen if isinstance(each, (list, tuple, dict)))


#: Shown by Jinja2 itself and with limits, in the same words.
USUAL: Final = [
    "{{ [1, 'a', (2,), {'b': [3]}] }} {{ (1, 2) + (3,) }}",
    "{{ [1] * 3 }} {{ {'a': 1}|tojson }} {{ none }} {{ 1.5 ~ true }}",
    "{{ xs|map(attribute='name')|join(', ') }}",
    "{{ xs|join('-', attribute='name') }} {{ xs|join(d='+', attribute='n') }}",
    "{{ xs|sort(attribute='n,name')|map(attribute='n')|list }}",
    "{{ xs|groupby('n') }} {{ xs|unique(attribute='n')|list }}",
    "{{ xs|sum(attribute='n') }} {{ [[1], [2]]|sum(start=[]) }} {{ xs|max(attribute='n') }} {{ [3, 1]|min }}",
    "{{ {'b': 1, 'a': 2}|dictsort }} {{ {'b': 1, 'a': 2}|dictsort(by='value') }} {{ {'a': 1}|items|list }}",
    "{{ [1, 2, 3]|batch(2, 'x')|list }} {{ [1, 2, 3]|slice(2)|list }}",
    "{{ 'abc'|list }} {{ 'abc'|reverse }} {{ 'ab'|join('-') }}",
    "{% for a, b in {'x': 1}.items() %}{{ loop.index }}{{ a }}{{ b }}{% endfor %}",
    "{{ 'a,b'.split(',')[1:] }} {{ 'ab'[::-1] }}",
    "{% autoescape true %}{{ lt ~ lt|safe }}{{ [lt]|join }}{{ lt|escape }}{% endautoescape %}{{ lt ~ '>' }}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}",
    "{% set j = joiner(', ') %}{{ j() }}{{ j() }} {{ cycler(1, 2).items }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, b=3) }}",
    "{% macro w() %}<{{ caller(1) }}>{% endmacro %}{% call(n) w() %}{{ n }}{% endcall %}",
    "{% filter upper %}a{% endfilter %}",
    "{% set b %}x{{ 1 }}{% endset %}{{ b }} {% block t %}y{% endblock %}{{ self.t() }}",
    "{% set ns = namespace(a=1) %}{{ ns.a }}",
    "{{ '%s-%(x)s' % {'x': 1} if false else '%(x)s' % {'x': 1} }}",
    "{{ '%5.1f|%d' % (1.25, 2) }} {{ '%s|%s'|format(1, [2]) }}",
    "{{ '{0}{a[b]}{0!r:>4}'.format('x', a={'b': 1}) }} {{ '{x}'.format_map({'x': 2}) }} {{ ','.join(['a', 'b']) }}",
    "{{ 3 in [1, 3] }} {{ 'a' < 'b' <= 'c' }} {{ [1] == [1] }}",
    "{{ 1 is in [1] }} {{ [1, 2]|select('gt', 1)|list }} {{ 2 is even }}",
    "{% for x in [1, [2, [3]]] recursive %}{{ loop(x) if x is iterable else x }}{{ loop.last }}{% endfor %}",
    "{{ 'a b c'|wordwrap(3) }} {{ 'http://a.b'|urlize }}",
    "{{ {'a': '<'}|xmlattr }} {{ 'a b'|urlencode }} {{ 'x'|default('y') }}",
    "{{ xs|map(attribute='n')|map('string')|list|first }}",
    "{{ (xs|map(attribute='n'))|sum }} {{ range(3)|last }} {{ 2.567|round(1) }}",
]  # fmt: skip


@pytest.mark.parametrize("body", USUAL)
def test_what_stays_within_its_limits_is_shown_as_jinja2_shows_it(body: str) -> None:
    values = {"lt": "<", "xs": [{"name": "Mara", "n": 2}, {"name": "Tom", "n": 1}]}
    plain = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined).from_string(body).render(**values)

    assert ScriptKinds().check("narrator", body, "jinja2").compiled.render(**values) == plain
