"""Every knob of livingworld in one frozen object, read from the environment and checked once."""

from __future__ import annotations

import contextlib
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import URL

from livingworld.errors import InvalidSettings
from livingworld.settings.database_url import connection_target, parse_url
from livingworld.settings.environment import PREFIX, SetVariables, refuse_unknown_variables


def _plain_number_as_seconds(value: object) -> object:
    if isinstance(value, str):  # from the environment; pydantic takes a number, but not the text of one
        with contextlib.suppress(ValueError):
            return float(value)
    return value


#: libpq's name; its environment variable is meant for the primary.
_ATTRIBUTES: Final = "target_session_attrs"
Duration = Annotated[timedelta, BeforeValidator(_plain_number_as_seconds), Field(gt=timedelta(0), le=timedelta(days=1))]


def _never_as_none(value: object) -> object:
    return None if isinstance(value, str) and value.lower() == "never" else _plain_number_as_seconds(value)


#: For how long something is kept; None, or "never" in the environment: it is never removed.
Retention = Annotated[
    Annotated[timedelta, Field(ge=timedelta(hours=1), le=timedelta(days=36_500))] | None,
    BeforeValidator(_never_as_none),
]


class Settings(BaseSettings):
    """How to reach the database and how long to wait for it.

    Each field is also the environment variable `LIVINGWORLD_` + its name in capitals; a plain number means seconds.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    #: `postgresql://user:password@host:port/database?sslmode=...`, with libpq's parameters. Default: None, the embedded
    #: server.
    database_url: SecretStr | None = None
    #: Most connections that one open LivingWorld works with; a few more renew leases and listen. Default: 10.
    pool_size: int = Field(default=10, ge=1, le=1000)
    #: Longest wait of one unit of work for a free connection of the pool. Default: 10 s.
    pool_timeout: Duration = timedelta(seconds=10)
    #: A call ends after this, all its waits and tries together; `livingworld.deadline` gives one call its own. Time in
    #: a queue counts; the block of `world.transaction()` is the application's and does not. Default: 30 s.
    call_timeout: Duration = timedelta(seconds=30)
    #: Longest wait for one host of the URL to set up one new connection; `connect_timeout` in the URL takes precedence.
    #: Default: 10 s.
    connect_timeout: Duration = timedelta(seconds=10)
    #: The server cancels one statement after this, its waits for locks included. Default: 30 s.
    statement_timeout: Duration = timedelta(seconds=30)
    #: A call waits for rows and names that others hold for this long in all; shorter than `statement_timeout`.
    #: Default: 5 s.
    lock_timeout: Duration = timedelta(seconds=5)
    #: Longest wait of a call for a lock on a connection of the pool. After that the call waits in the process, and only
    #: a few connections wait in PostgreSQL. Default: 0.025 s.
    prompt_lock_timeout: Duration = timedelta(milliseconds=25)
    #: A wait for a lock that is longer is logged, with who waits and who holds it. Default: 1 s.
    report_lock_waits_after: Duration = timedelta(seconds=1)
    #: A transaction that has locks for longer is logged, with who waits for it. Default: 10 s.
    report_lock_holds_after: Duration = timedelta(seconds=10)
    #: Most calls of this process that may wait for an answer; a further call raises Overloaded. Default: 10,000.
    queue_limit: int = Field(default=10_000, ge=1, le=10_000_000)
    #: Most appends, takes or commits that may wait for one story, so that one that is held does not fill the queue of
    #: all; a further one raises Overloaded. Default: 1,000.
    story_queue_limit: int = Field(default=1_000, ge=1, le=10_000_000)
    #: Most subscriptions of live events that are open in this process; a further one raises Overloaded.
    #: Default: 10,000.
    subscription_limit: int = Field(default=10_000, ge=1, le=10_000_000)
    #: Most characters of text in the calls that wait. Default: 64,000,000.
    queue_characters: int = Field(default=64_000_000, ge=1)
    #: The server ends a session whose open transaction waits this long for its next statement. Default: 60 s.
    idle_in_transaction_timeout: Duration = timedelta(seconds=60)
    #: The client abandons one statement after this, even without a network; longer than `statement_timeout`.
    #: Default: 35 s.
    command_timeout: Duration = timedelta(seconds=35)
    #: Further tries of a unit that PostgreSQL rolled back in favour of another one. Default: 20, quick.
    conflict_retries: int = Field(default=20, ge=0, le=1000)
    #: Further tries of a unit while the server is away. Default: 5, slow.
    outage_retries: int = Field(default=5, ge=0, le=1000)
    #: Longest wait of `livingworld db upgrade` and `downgrade` for another process that migrates. Default: 60 s.
    migration_lock_timeout: Duration = timedelta(seconds=60)
    #: A turn whose process has died can be taken over after this; a living process renews it. Default: 30 s.
    turn_lease: Duration = timedelta(seconds=30)
    #: The script executions of a process that has died expire after this; a living process renews them. Default: 30 s.
    script_lease: Duration = timedelta(seconds=30)
    #: How often a waiting call polls where no notification can arrive; at most a quarter of `turn_lease`. Followers of
    #: live events, documents, tasks and scripts poll less often while notifications arrive. Default: 0.25 s.
    poll_interval: Duration = timedelta(seconds=0.25)
    #: Connections beside the pool, for renewing leases and for notifications. Default: 2.
    background_connections: int = Field(default=2, ge=1, le=100)
    #: Whether this process indexes the words of scenes in the background, by one of those connections. Without any that
    #: does, searches read the scenes themselves, and become slower. Default: True.
    index_words: bool = True
    #: How long pruning keeps the vector of a text in the cache; later it is computed again. This and the next four:
    #: "never" removes nothing, an hour is the least, and nothing is removed where nothing prunes. Default: 90 days.
    keep_embeddings: Retention = timedelta(days=90)
    #: How long pruning keeps the result of a request key; later the same key is a new request. Default: 30 days.
    keep_request_keys: Retention = timedelta(days=30)
    #: How long pruning keeps a published event that is followed; those without a follower go at once. Default: 7 days.
    keep_events: Retention = timedelta(days=7)
    #: How long pruning keeps an action that has ended, with its result. Default: 30 days.
    keep_actions: Retention = timedelta(days=30)
    #: How long pruning keeps an interaction of a session. Default: None, for ever.
    keep_interactions: Retention = None
    #: Most texts that an embedder is given at once. Default: 64.
    embedding_batch_size: int = Field(default=64, ge=1, le=10_000)
    #: Most batches that one embedder works on at once in this process. Default: 4.
    embedding_concurrency: int = Field(default=4, ge=1, le=1000)
    #: Longer texts are embedded in parts of at most this many characters. Default: 1000.
    embedding_chunk_characters: int = Field(default=1000, ge=1, le=1_000_000)
    #: Most characters of a Jinja2 script. Default: 200,000.
    template_characters: int = Field(default=200_000, ge=1, le=1_000_000)
    #: Most characters that such a script renders, and that any text in it has on the way; other limits of a rendering
    #: are multiples of it. Default: 1,000,000.
    template_output_characters: int = Field(default=1_000_000, ge=1, le=100_000_000)
    #: Longest time that such a script renders. Default: 1 s.
    template_timeout: Duration = timedelta(seconds=1)
    #: Where to listen for notifications when `database_url` leads through a pooler. Default: None, polling there.
    direct_database_url: SecretStr | None = None
    #: A standby of `database_url`, or several, for reads that say `at_least`; all other settings hold there too.
    #: Without `target_session_attrs` it is `standby`. Default: None, all reads go to the primary.
    replica_url: SecretStr | None = None
    #: Longest wait of such a read for a connection to the standby, and for what it has not replayed yet; then it goes
    #: to the primary. Default: 0.2 s.
    replica_wait: Duration = timedelta(seconds=0.2)
    #: A standby that failed is left alone for this; how often its identity is looked at. Default: 5 s.
    replica_pause: Duration = timedelta(seconds=5)
    #: True behind PgBouncer in transaction mode, where the sessions of a connection change. Default: False.
    behind_pooler: bool = False
    #: Keep statements prepared on a connection. Default: True; False behind a pooler, though PgBouncer keeps them from
    #: 1.21 on with `max_prepared_statements`.
    prepared_statements: bool | None = None
    #: What sets time limits and the isolation level: each "session" as it begins, the "role" (`ALTER ROLE ... SET`, or
    #: the pooler's `connect_query`; LimitsMissing without), or each "transaction". Default: session; transaction behind
    #: a pooler.
    limits: Literal["session", "role", "transaction"] | None = None
    #: Whether each transaction says whose rows it works on, which a database needs after `livingworld db isolate` and
    #: any other ignores. Default: False.
    row_security: bool = False
    #: The tenant whose worlds this process works on: it finds and makes no others. Default: None, the worlds of all.
    tenant: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^*]")] | None = None
    #: TLS for TCP connections, for example `ssl.create_default_context()`; takes precedence over the URL.
    #: Default: None, the URL's parameters.
    tls: ssl.SSLContext | None = None
    #: File of the certificate authority; sets `tls` to a context that verifies server and host name. Default: None.
    tls_ca_file: Path | None = None

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Return the settings of the environment with overrides, or raise InvalidSettings naming the field.

        A variable that begins with LIVINGWORLD_ and that nothing reads is refused too.
        """
        refuse_unknown_variables(cls.model_fields)
        try:
            return cls(**overrides)  # type: ignore[arg-type]  # pydantic checks them
        except ValidationError as error:
            field, reason = _first_problem(error)
        raise InvalidSettings(field, reason)

    @classmethod
    def chosen(cls, settings: Settings | None, database_url: str | None, replica_url: str | None = None) -> Settings:
        """Return the given settings, or those of the environment, with the URLs where there are any."""
        urls = {"database_url": database_url, "replica_url": replica_url}
        named = {name: url for name, url in urls.items() if url is not None}
        if not named:
            return settings or cls.load()
        return cls.load(**(settings.model_dump() if settings else {}) | named)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the names are pydantic's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the call's arguments and the environment, for pydantic, and no file."""
        return init_settings, SetVariables(settings_cls)

    @model_validator(mode="after")
    def _waits_nest(self) -> Self:
        if not self.lock_timeout < self.statement_timeout < self.command_timeout:
            message = "lock_timeout must be shorter than statement_timeout, and that shorter than command_timeout"
            raise ValueError(message)
        if self.poll_interval * 4 > self.turn_lease:
            message = "turn_lease must be at least four times poll_interval"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _urls_can_be_kept(self) -> Self:
        tls = self.tls_context()
        for field in ("database_url", "direct_database_url", "replica_url"):
            if (url := getattr(self, field)) is not None:
                connection_target(url.get_secret_value(), tls=tls, field=field)
        return self

    @model_validator(mode="after")
    def _limits_reach_sessions(self) -> Self:
        if self.behind_pooler and self.limits == "session":
            message = "limits must be role or transaction behind a pooler, which takes them from no session"
            raise ValueError(message)
        return self

    def keeps_statements(self) -> bool:
        """Return whether statements are kept prepared on a connection."""
        return not self.behind_pooler if self.prepared_statements is None else self.prepared_statements

    def limits_set_by(self) -> Literal["session", "role", "transaction"]:
        """Return what sets time limits and the isolation level."""
        return self.limits or ("transaction" if self.behind_pooler else "session")

    def tls_context(self) -> ssl.SSLContext | None:
        """Return the TLS context to connect with, or None for the URL's parameters; raises InvalidSettings."""
        if self.tls is not None or self.tls_ca_file is None:
            return self.tls
        reason = None
        try:
            return ssl.create_default_context(cafile=str(self.tls_ca_file))
        except OSError as error:  # ssl.SSLError is one
            reason = error.strerror
        field = "tls_ca_file"
        raise InvalidSettings(field, f"its file cannot be used: {reason}")

    def url(self) -> URL | None:
        """Return the database's URL for asyncpg, or None when the embedded server is meant."""
        return None if self.database_url is None else parse_url(self.database_url.get_secret_value())

    def listening_url(self) -> URL | None:
        """Return the URL of a direct connection when one is named, or None."""
        return None if self.direct_database_url is None else parse_url(self.direct_database_url.get_secret_value())

    def standby_url(self) -> URL | None:
        """Return the URL of the standby that is read, or None."""
        if self.replica_url is None:
            return None
        url = parse_url(self.replica_url.get_secret_value(), "replica_url")
        return url if _ATTRIBUTES in url.query else url.update_query_dict({_ATTRIBUTES: "standby"})


def _first_problem(error: ValidationError) -> tuple[str, str]:
    problem = error.errors(include_input=False, include_url=False)[0]
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, InvalidSettings):
        return cause.field, cause.reason
    return ".".join(str(part) for part in problem["loc"]) or "settings", problem["msg"]
