"""A proxy lets go of every client when it closes, also of one that it accepts at this moment, and delays none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest

from livingworld.settings.database_url import parse_url
from livingworld.testing.protocol_proxy import protocol_proxy
from livingworld.testing.staged_races import connected

#: Steps of the loop from a client in the backlog to one whose first message is awaited, and some more.
STEPS = 12


@pytest.mark.parametrize("steps", range(STEPS))
def test_a_client_is_let_go_whenever_the_proxy_closes(steps: int) -> None:
    async def connected() -> socket.socket:
        async with protocol_proxy("postgresql://ada@127.0.0.1:1/nowhere") as proxy:
            client = socket.create_connection(("127.0.0.1", parse_url(proxy.url).port or 0))
            for _ in range(steps):
                await asyncio.sleep(0)
            return client

    with asyncio.run(connected()) as client:
        client.settimeout(0)
        with contextlib.suppress(ConnectionResetError):  # it was still in the backlog
            assert client.recv(1) == b""


async def test_a_proxy_that_is_closed_closes_again() -> None:
    async with protocol_proxy("postgresql://ada@127.0.0.1:1/nowhere") as proxy:
        await proxy.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", parse_url(proxy.url).port)


async def test_a_statement_through_a_proxy_waits_for_no_acknowledgement(database_url: str) -> None:
    # Where a side holds back what is small until the other has acknowledged what came before, each takes 40 ms.
    taken = []
    async with protocol_proxy(database_url) as proxy, connected(proxy.url) as connection:
        for number in range(20):
            began = time.perf_counter()
            await connection.fetchval("SELECT $1::integer", number)
            taken.append(time.perf_counter() - began)

    assert min(taken) < 0.03
