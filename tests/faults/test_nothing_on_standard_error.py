"""A real program that cancels, closes and loses connections prints nothing that it did not mean to print."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from livingworld.testing.protocol_proxy import ProtocolProxy
from tests.faults.quiet_program import WAYS
from tests.support.run_role import pooler_of_the_run, url_of_the_run

PROGRAM = Path(__file__).with_name("quiet_program.py")


@pytest.mark.rotates(parts=4)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tls", ["prefer", "disable"])
async def test_nothing_is_printed(proxy: ProtocolProxy, way: str, tls: str) -> None:
    """The proxy takes no TLS, so whoever prefers it asks for it, is told so, and goes on without."""
    environment = (
        os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PGSSLMODE": tls} | pooler_of_the_run(proxy.url)
    )
    program = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), way, url_of_the_run(proxy.url), stdout=PIPE, stderr=PIPE, env=environment
    )
    async with asyncio.timeout(120):
        printed = await program.communicate()

    assert (program.returncode, printed) == (0, (b"", b""))
