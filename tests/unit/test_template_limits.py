"""Templates that would take a process: each is refused or stopped, soon and without its memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Final

import pytest

from livingworld.errors import ScriptInvalid, TemplateLimitExceeded
from livingworld.models.scripts.kinds import ScriptKinds
from livingworld.models.scripts.template_limits import LIMITS, TemplateLimits

#: Refused before anything is compiled that takes long.
NOT_COMPILED: Final = {
    "deep parentheses": "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
    "deep ifs": "{% if 1 %}" * 3_000 + "{% endif %}" * 3_000,
    "a long sum": "{{ " + "+".join(["1"] * 20_000) + " }}",
    "many nots": "{{ " + "not " * 20_000 + "1 }}",
    "many ifs": "{% if a %}x{% endif %}" * 40_000,
    "a long text": "x" * 999_999,
}
#: Stopped while they render, by this limit.
STOPPED: Final = {
    "a product": ("{{ ('a'*10**9)|length }}", "size"),
    "a great product": ("{{ ('a'*10**10)|length }}", "size"),
    "a product of a list": ("{{ (10**9 * [1])|length }}", "size"),
    "a power": ("{{ (9**(9**7)) > 1 }}", "size"),
    "nested loops": ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "time"),
    "a filter that widens": ("{{ 'x'|center(10**9)|length }}", "size"),
    "a method that widens": ("{{ 'x'.ljust(10**9)|length }}", "size"),
    "recursion": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "depth"),
    "a wide number": ("{{ ('%1000000000d' % 1)|length }}", "size"),
    "a wide number, given": ("{{ ('%*d' % (10**9, 1))|length }}", "size"),
    "a wide format": ("{{ '{:1000000000}'.format(1)|length }}", "size"),
    "a wide format, given": ("{{ '{:{w}}'.format(1, w=10**9)|length }}", "size"),
    "replacing": ("{% set a = 'x' * 99999 %}{{ a|replace('x', a)|length }}", "size"),
    "replacing, a method": ("{% set a = 'x' * 99999 %}{{ a.replace('x', a)|length }}", "size"),
    "joining": ("{% set a = 'x' * 99999 %}{{ range(99999)|list|join(a)|length }}", "size"),
    "indenting": ("{{ ('x\n' * 90000)|indent(99999)|length }}", "size"),
    "indenting by a text": ("{{ ('x\n' * 90000)|indent('y' * 90000)|length }}", "size"),
    "bytes of a number": ("{{ (1).to_bytes(10**9, 'big')|length }}", "size"),
    "translating": ("{{ ('x' * 99999).translate({120: 'y' * 99999})|length }}", "size"),
    "a wide format, mapped": ("{{ '{a:{w}}'.format_map({'a': 1, 'w': 10**9})|length }}", "size"),
    "a sum of lists": ("{{ ([range(99999)|list] * 9999)|sum(start=[])|length }}", "size"),
    "a sum of lists that come one by one": ("{{ (['x' * 999] * 99999)|map('list')|sum(start=[])|length }}", "size"),
    "doubling": ("{% set n = namespace(a='x') %}{% for i in range(60) %}{% set n.a = n.a + n.a %}{% endfor %}", "size"),
    "a large block": (
        "{% set a = 'x' * 99999 %}{% set b %}{% for i in range(99999) %}{{ a }}{% endfor %}{% endset %}", "size"
    ),
    "a large output": ("{% set a = 'x' * 99999 %}{% for i in range(99999) %}{{ a }}{% endfor %}", "size"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_COMPILED)
def test_a_body_that_takes_long_to_compile_is_refused(name: str) -> None:
    with pytest.raises(ScriptInvalid) as refused:
        ScriptKinds().check("narrator", NOT_COMPILED[name], "jinja2")
    assert refused.value.field == "body"


@pytest.mark.parametrize("name", STOPPED)
def test_a_template_that_takes_a_process_is_stopped_by_its_limit(name: str) -> None:
    body, limit = STOPPED[name]
    limits = LIMITS if limit == "time" else replace(LIMITS, seconds=60)
    compiled = ScriptKinds(limits).check("narrator", body, "jinja2").compiled
    tracemalloc.start()
    try:
        with pytest.raises(TemplateLimitExceeded) as stopped:
            compiled.render()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stopped.value.limit == limit
    assert most < 50_000_000


def test_the_time_is_that_of_each_rendering() -> None:
    limits = TemplateLimits(characters=1_000, tags=100, output=1_000, seconds=3600)
    compiled = ScriptKinds(limits).check("narrator", "{% for i in range(9) %}{{ i }}{% endfor %}", "jinja2").compiled
    assert [compiled.render() for _ in range(2)] == ["012345678"] * 2


def test_a_usual_prompt_renders_as_jinja2_renders_it() -> None:
    body = """{% macro line(who, says='nothing') %}{{ who|upper }}: {{ says }}{% endmacro -%}
{% for each in cast if each.here %}{{ loop.index }}. {{ line(each.name, says=each.words|join(', ')) }}
{% else %}Nobody.{% endfor %}{{ '%05.1f' % 3 }} {{ 'a' * 3 ~ 1 }} {{ '{:>6}'.format('x') }} {{ [1, 2] + [3] }}
{{ 'a-b'.replace('-', '+') }} {{ text|replace('fog', 'mist')|indent(2)|center(20) }}|{{ 12345678 * 2 }} {{ 2**10 }}"""
    values = {"cast": [{"name": "Mara", "here": True, "words": ["No", "yes"]}], "text": "the fog"}

    rendered = ScriptKinds().check("narrator", body, "jinja2").compiled.render(**values)
    assert rendered == ("1. MARA: No, yes\n003.0 aaa1      x [1, 2, 3]\na+b       the mist      |24691356 1024")


def test_lists_are_flattened_and_texts_indented() -> None:
    body = "{{ [[1, 2], [3]]|sum(start=[]) }} {{ 'a\nb'|indent('> ') }} {{ (258).to_bytes(2, 'big')|length }}"

    assert ScriptKinds().check("narrator", body, "jinja2").compiled.render() == "[1, 2, 3] a\n> b 2"


def test_the_limits_leave_room_for_long_prompts() -> None:
    body = ("The fog rolls in. " * 500 + "{{ who }}\n") * 20
    assert len(body) > 0.9 * LIMITS.characters or len(body) > 180_000
    assert "Mara" in ScriptKinds().check("narrator", body, "jinja2").compiled.render(who="Mara")
