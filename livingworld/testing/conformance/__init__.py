"""Tests of a server, pooler or cluster of yours: `pytest --pyargs livingworld.testing.conformance`.

`LIVINGWORLD_DATABASE_URL` names the database; its tables are upgraded, and every test works in a world of its own that
it removes. The other `LIVINGWORLD_` variables are those of your program. Without a database a server is started.
"""
