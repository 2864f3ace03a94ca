"""Functions written for each shard, whose statements name its tables: PostgreSQL plans them once, as on one server.

A statement over a distributed table goes through Citus, which since 13.2.1 plans it at each call. A function of these
becomes several: one for each shard, one through Citus, and under its own name the one that chooses. That one calls a
shard's only where this node has the shard, and keeps it here until the end of the transaction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from livingworld.postgres.metadata import SCHEMA
from livingworld.postgres.migrations import script_location

#: The numbers of the shards that hold the same worlds, by the name of their table.
Shards = Mapping[str, int]

_CREATE: Final = "CREATE FUNCTION"
_LANGUAGE: Final = "\nLANGUAGE plpgsql\n"
_QUOTE: Final = "$function$"
_ONE_PLAN: Final = "SET plan_cache_mode = force_generic_plan"
_ARGUMENT: Final = re.compile(r"^    (in_\w+) ", re.MULTILINE)
_NAMED: Final = re.compile(rf"\b{SCHEMA}\.(\w+)\b(?!\()")
_CALLED: Final = re.compile(rf"\b{SCHEMA}\.(\w+)\(")
#: As `append_plain_scene_v1_102008`, the function of a shard, and `append_plain_scene_v1_through_citus`.
_THROUGH_CITUS: Final = "through_citus"
_WRITTEN: Final = re.compile(rf"\w+_v\d+_(?:\d+|{_THROUGH_CITUS})")
_PLAN: Final = re.compile(r"^SET plan_cache_mode = (\w+)$", re.MULTILINE)
LOCAL_SHARD: Final = "local_shard_v1"

#: The lock is what a write of Citus takes (mode 5, SHARE): who moves or splits a shard waits for all that hold it, on
#: each node. The look comes after it, in a statement of its own, so it sees the move that the lock waited for. Only the
#: owner may take that lock, hence SECURITY DEFINER.
_LOCAL_SHARD_TEXT: Final = f"""CREATE OR REPLACE FUNCTION {SCHEMA}.{LOCAL_SHARD}(in_world_id uuid) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
{_ONE_PLAN}
AS $function$
DECLARE
    shard bigint := get_shard_id_for_distribution_column('{SCHEMA}.{{beside}}', in_world_id);
BEGIN
    PERFORM lock_shard_metadata(5, ARRAY[shard]);
    PERFORM FROM pg_dist_placement p JOIN pg_dist_local_group g ON g.groupid = p.groupid WHERE p.shardid = shard;
    RETURN CASE WHEN FOUND THEN shard END;
END
$function$
"""
#: Only what commits by itself chooses a shard's: within a longer transaction, earlier statements may have gone over a
#: connection of Citus, whose rows this session does not see.
_CHOICE: Final = """
BEGIN
    IF in_publish AND current_setting('transaction_isolation') = 'read committed' THEN
        CASE {schema}.{local}(in_world_id)
{cases}
        ELSE
            NULL;
        END CASE;
    END IF;
    RETURN QUERY SELECT * FROM {schema}.{name}_through_citus({arguments});
END
"""
_CASE: Final = """        WHEN {shard} THEN
            RETURN QUERY SELECT * FROM {schema}.{name}_{shard}({arguments});
            RETURN;"""


@dataclass(frozen=True, slots=True)
class Written:
    """A function as it has to be."""

    name: str
    #: CREATE OR REPLACE.
    text: str

    @property
    def source(self) -> str:
        """Return what stands between its quotes, which pg_proc keeps as it is."""
        return self.text.split(_QUOTE)[1]

    @property
    def plan_cache_mode(self) -> str:
        """Return the setting that it has."""
        return _PLAN.findall(self.text)[0]  # type: ignore[no-any-return]


def written_for(name: str, shards: Sequence[Shards], beside: str, plan_cache_mode: str) -> list[Written]:
    """Return the functions that replace one, the one that chooses last.

    `beside` is the table whose shards name the functions; what goes through Citus has `plan_cache_mode`.
    """
    text = _text(name)
    called = sorted(set(_CALLED.findall(text.split(_QUOTE)[1])))
    return [
        Written(LOCAL_SHARD, _LOCAL_SHARD_TEXT.format(beside=beside)),
        *(_through_citus(each, plan_cache_mode) for each in (*called, name)),
        *(_of_shard(name, tables, str(tables[beside]), called) for tables in shards),
        Written(name, _choosing(name, [tables[beside] for tables in shards])),
    ]


def is_written(name: str) -> bool:
    """Return whether a function is, by its name, one of a shard or one through Citus."""
    return _WRITTEN.fullmatch(name) is not None


def _text(name: str) -> str:
    (path,) = (script_location() / "versions/sql").glob(f"*/{name}.sql")
    text = path.read_text()
    return text[text.index(_CREATE) :].replace(_CREATE, "CREATE OR REPLACE FUNCTION", 1)


def _through_citus(name: str, plan_cache_mode: str) -> Written:
    """Return a function as it is, but for its plans: the settings of a caller hold in what it calls."""
    text = _text(name).replace(_ONE_PLAN, f"SET plan_cache_mode = {plan_cache_mode}")
    return Written(f"{name}_{_THROUGH_CITUS}", _renamed(text, name, _THROUGH_CITUS))


def _of_shard(name: str, tables: Shards, number: str, called: Sequence[str]) -> Written:
    def numbered(found: re.Match[str]) -> str:
        return f"{found[0]}_{tables[found[1]]}" if found[1] in tables else found[0]

    text = _NAMED.sub(numbered, _text(name))
    for each in called:
        text = _renamed(text, each, _THROUGH_CITUS)
    return Written(f"{name}_{number}", _renamed(text, name, number))


def _choosing(name: str, shards: Sequence[int]) -> str:
    text = _text(name)
    arguments = ", ".join(_ARGUMENT.findall(text.split("RETURNS")[0]))
    words = {"schema": SCHEMA, "name": name, "arguments": arguments}
    cases = "\n".join(_CASE.format(shard=shard, **words) for shard in shards)
    body = _CHOICE.format(local=LOCAL_SHARD, cases=cases, **words)
    head, _ = text.split(_LANGUAGE)
    return f"{head}{_LANGUAGE}SET search_path = pg_catalog, pg_temp\n{_ONE_PLAN}\nAS {_QUOTE}{body}{_QUOTE}\n"


def _renamed(text: str, name: str, ending: str) -> str:
    return text.replace(f"{SCHEMA}.{name}(", f"{SCHEMA}.{name}_{ending}(")
