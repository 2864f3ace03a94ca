from __future__ import annotations

import sys

import pytest

from livingworld.errors import ScriptInvalid
from livingworld.models.scripts import templates
from livingworld.models.scripts.kinds import ScriptKinds, digest_of


def test_without_the_extra_a_template_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    templates._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)

    with pytest.raises(ScriptInvalid, match=r"livingworld\[scripts\]"):
        ScriptKinds().check("narrator", "x", "jinja2")
    assert ScriptKinds().check("narrator", "x", "plain").compiled == "x"


def test_kind_and_body_make_the_digest_together() -> None:
    assert len({digest_of("a", "b"), digest_of("b", "a"), digest_of("ab", ""), digest_of("a", "b ")}) == 4


@pytest.mark.parametrize("body", ["(" * 300, "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "{{ 9**9**9 }}"])
def test_a_text_that_is_too_much_for_the_compiler_is_refused_or_costs_nothing(body: str) -> None:
    try:
        ScriptKinds().check("narrator", body, "jinja2")
    except ScriptInvalid as error:
        assert error.reason  # noqa: PT017 - whether it is refused is the compiler's affair


def test_what_a_validator_says_of_the_line_is_kept() -> None:
    def validate(body: str) -> object:
        return compile(body, "rules", "exec")

    registered = ScriptKinds()
    registered.register("python", validate)
    with pytest.raises(ScriptInvalid) as refused:
        registered.check("rules", "a = 1\nb =", "python")

    assert (refused.value.line, str(refused.value)[:14]) == (2, "body: line 2: ")
