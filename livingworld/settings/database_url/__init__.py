"""What a database URL asks for, in the terms of libpq, and the arguments of asyncpg for it.

libpq's rules are the reference. A parameter that asyncpg cannot honour is refused by name, never ignored silently.
"""

from livingworld.settings.database_url.addresses import Address
from livingworld.settings.database_url.parsing import database_address, parse_url
from livingworld.settings.database_url.target import ConnectionTarget, connection_target

__all__ = ["Address", "ConnectionTarget", "connection_target", "database_address", "parse_url"]
