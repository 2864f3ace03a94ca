"""What a database URL asks for, in libpq's words, and how asyncpg is told.

libpq's rules are the reference. A parameter that asyncpg cannot keep is refused by name: to drop it in silence would
promise something that is not true.
"""

from livingworld.settings.database_url.addresses import Address
from livingworld.settings.database_url.parsing import database_address, parse_url
from livingworld.settings.database_url.target import ConnectionTarget, connection_target

__all__ = ["Address", "ConnectionTarget", "connection_target", "database_address", "parse_url"]
