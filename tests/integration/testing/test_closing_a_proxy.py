"""A proxy that closes lets go of every client, also of one that it accepts at this moment."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from livingworld.settings.database_url import parse_url
from livingworld.testing.protocol_proxy import protocol_proxy

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
