"""Scripts: checked before they are stored, never changed, activated, rolled back, read and used."""

from __future__ import annotations

from typing import Any

import pytest

from livingworld import LivingWorld, Script, World
from livingworld.errors import (
    InvalidCursor,
    InvalidInput,
    InvalidType,
    NothingToRollBack,
    ScriptInvalid,
    ScriptNotFound,
    VersionConflict,
    WorldNotFound,
)
from tests.support.turn_checks import rows


async def active(world: World, name: str = "narrator") -> int:
    return (await world.scripts.get(name)).version


async def test_a_published_script_renders_with_its_values(world: World) -> None:
    version = await world.scripts.publish("narrator", "Tell of {{ who }}.\n")

    async with world.scripts.use("narrator") as script:
        assert isinstance(script, Script)
        assert (script.version, script.kind, script.body) == (1, "jinja2", version.body)
        assert script.render(who="Mara") == "Tell of Mara.\n"
        with pytest.raises(Exception, match="'who' is undefined"):
            script.render()


async def test_a_plain_script_is_its_text(world: World) -> None:
    await world.scripts.publish("rules", "No {{ lanterns }}.", kind="plain")

    async with world.scripts.use("rules") as script:
        assert script.render() == "No {{ lanterns }}."
        with pytest.raises(InvalidType):
            script.render(lanterns=1)


async def test_a_template_reaches_nothing_of_python(world: World) -> None:
    await world.scripts.publish("escape", "{{ ().__class__.__base__.__subclasses__() }}")

    async with world.scripts.use("escape") as script:
        with pytest.raises(Exception, match="unsafe"):
            script.render()


async def test_versions_are_numbered_and_an_equal_text_is_no_new_one(world: World) -> None:
    one = await world.scripts.publish("narrator", "one", expected_version=0)
    again = await world.scripts.publish("narrator", "one")
    two = await world.scripts.publish("narrator", "two", expected_version=1)
    as_plain = await world.scripts.publish("narrator", "two", kind="plain")
    back = await world.scripts.publish("narrator", "one", activate=False)

    assert again == one
    assert [each.version for each in (one, two, as_plain, back)] == [1, 2, 3, 4]
    assert await active(world) == 3
    assert (await world.scripts.get("narrator", 1)) == one
    with pytest.raises(VersionConflict) as refused:
        await world.scripts.publish("narrator", "five", expected_version=3)
    assert (refused.value.expected, refused.value.actual) == (3, 4)


@pytest.mark.parametrize(
    ("body", "line"),
    [("fine\n{% if %}", 2), ("{{ who", 1), ("\n\n{{ who | unheard_of }}", 3), ("{% include 'other' %}", None)],
)
async def test_a_broken_template_is_named_with_its_line_and_nothing_is_stored(
    database_url: str, world: World, body: str, line: int | None
) -> None:
    with pytest.raises(ScriptInvalid) as refused:
        await world.scripts.publish("narrator", body)

    assert (refused.value.field, refused.value.line) == ("body", line)
    assert refused.value.reason
    assert await rows(database_url, "SELECT 1 FROM livingworld.scripts") == []


async def test_the_application_brings_validators_of_its_own(livingworld: LivingWorld, world: World) -> None:
    class Rules:
        def __init__(self, body: str) -> None:
            self.numbers = [int(line) for line in body.splitlines()]

        def render(self, factor: int) -> list[int]:
            return [number * factor for number in self.numbers]

    world.scripts.register("numbers", Rules)
    with pytest.raises(ScriptInvalid, match="invalid literal"):
        await world.scripts.publish("odds", "1\nx", kind="numbers")
    await world.scripts.publish("odds", "1\n2", kind="numbers")

    async with world.scripts.use("odds") as script:
        assert script.compiled.numbers == [1, 2]
        assert script.render(factor=3) == "[3, 6]"
    elsewhere = await livingworld.worlds.create("Fen")
    assert (await elsewhere.scripts.publish("odds", "7", kind="numbers")).version == 1


async def test_activations_are_rolled_back_as_often_as_there_were_any(world: World) -> None:
    for body in ("one", "two", "three"):
        await world.scripts.publish("narrator", body)
    went = [(await world.scripts.rollback("narrator")).version for _ in range(2)]

    assert went == [2, 1]
    with pytest.raises(NothingToRollBack):
        await world.scripts.rollback("narrator")
    await world.scripts.activate("narrator", 3)
    assert (await world.scripts.rollback("narrator")).version == 1
    (head,) = (await world.scripts.list()).items
    assert (head.name, head.active_version, head.last_version, head.activation) == ("narrator", 1, 3, 7)


async def test_a_rollback_passes_over_what_is_retired(world: World) -> None:
    for body in ("one", "two", "three"):
        await world.scripts.publish("narrator", body)
    await world.scripts.retire("narrator", 2)

    assert (await world.scripts.rollback("narrator")).version == 1


async def test_who_names_another_activation_is_told(world: World) -> None:
    for body in ("one", "two"):
        await world.scripts.publish("narrator", body)
    (seen,) = (await world.scripts.list()).items
    await world.scripts.activate("narrator", 1)
    await world.scripts.activate("narrator", 2)

    with pytest.raises(VersionConflict):
        await world.scripts.rollback("narrator", expected_version=2, expected_activation=seen.activation)
    with pytest.raises(VersionConflict):
        await world.scripts.rollback("narrator", expected_version=1)
    with pytest.raises(VersionConflict):
        await world.scripts.activate("narrator", 1, expected_activation=seen.activation)
    assert (await world.scripts.activate("narrator", 2)).version == 2
    assert (await world.scripts.list()).items[0].activation == 4


async def test_scripts_are_written_with_other_things_in_one_transaction(world: World) -> None:
    checked = [world.scripts.check(name, "hello", kind="plain") for name in ("b", "a")]
    with pytest.raises(ZeroDivisionError):
        async with world.transaction() as tx:
            await tx.scripts.publish_all(checked)
            raise ZeroDivisionError
    assert (await world.scripts.list()).items == ()

    async with world.transaction() as tx:
        versions = await tx.scripts.publish_all(checked)
        assert (await tx.scripts.get("a")).body == "hello"
        await tx.scripts.publish_all([world.scripts.check("a", "again", kind="plain")], expected_versions=[1])
        await tx.scripts.rollback("a")
        await tx.scripts.activate("a", 2)
        assert [each.version for each in (await tx.scripts.versions("a")).items] == [2, 1]
    assert [each.name for each in versions] == ["b", "a"]
    assert [each.name for each in (await world.scripts.list()).items] == ["a", "b"]


async def test_lists_come_in_pages(world: World) -> None:
    await world.scripts.publish_all([world.scripts.check(f"s{n}", "x") for n in range(3)])
    for n in range(3):
        await world.scripts.publish("s1", f"{n}")
    page = await world.scripts.list(limit=2)
    rest = await world.scripts.list(limit=2, after=page.next)
    newest = await world.scripts.versions("s1", limit=3)
    oldest = await world.scripts.versions("s1", limit=3, after=newest.next)

    assert [each.name for each in (*page.items, *rest.items)] == ["s0", "s1", "s2"]
    assert [each.version for each in (*newest.items, *oldest.items)] == [4, 3, 2, 1]
    assert newest.items[0].active_since is not None
    assert newest.items[1].active_since is None
    assert (rest.next, oldest.next) == (None, None)
    assert (await world.scripts.versions("never")).items == ()


async def test_what_is_not_there_is_named(livingworld: LivingWorld, world: World) -> None:
    await world.scripts.publish("asleep", "x", activate=False)
    for name in ("never", "asleep"):
        with pytest.raises(ScriptNotFound):
            await world.scripts.get(name)
        with pytest.raises(ScriptNotFound):
            async with world.scripts.use(name):
                raise AssertionError
    for missing in (world.scripts.activate("asleep", 2), world.scripts.retire("never", 1)):
        with pytest.raises(ScriptNotFound):
            await missing
    with pytest.raises(ScriptNotFound):
        await world.scripts.rollback("never")
    await livingworld.worlds.purge(world.id)
    with pytest.raises(WorldNotFound):
        await world.scripts.publish("narrator", "x")


BAD_TEXTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("", "x"), {}),
    (("n" * 501, "x"), {}),
    (("narrator", "\x00"), {}),
    (("narrator", "x" * 1_000_001), {"kind": "plain"}),
    (("narrator", b"x"), {}),
    (("narrator", "x"), {"kind": "unheard of"}),
    (("narrator", "x"), {"expected_version": -1}),
]


@pytest.mark.parametrize(("arguments", "options"), BAD_TEXTS)
async def test_what_cannot_be_stored_is_not_published(
    world: World, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput):
        await world.scripts.publish(*arguments, **options)


async def test_what_is_no_validator_is_refused(world: World) -> None:
    async def validate(body: str) -> str:
        return body

    unfit: list[tuple[str, Any]] = [("", str), ("later", validate), ("none", None)]
    for kind, validator in unfit:
        with pytest.raises(InvalidInput):
            world.scripts.register(kind, validator)


async def test_bad_input_is_named(world: World) -> None:
    scripts: Any = world.scripts
    for call in (
        scripts.publish_all(["x"]),
        scripts.activate("narrator", 0),
        scripts.rollback("narrator", expected_activation="x"),
        scripts.retire("narrator", 1, timeout=3),
        scripts.get(3),
    ):
        with pytest.raises(InvalidInput):
            await call
    with pytest.raises(InvalidCursor):
        await world.scripts.versions("narrator", after="x")
