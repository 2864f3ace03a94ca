"""World: the repositories of one world, and the transactions on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from livingworld.app.process import SharedParts
from livingworld.app.transaction_scope import TransactionScope, WorldRepositories
from livingworld.bundles.exporting import export_bundle
from livingworld.bundles.files import BundleFile
from livingworld.bundles.importing import import_story
from livingworld.bundles.records import Bundle, Report, ignore
from livingworld.coordination.actions.world_actions import Actions
from livingworld.coordination.documents.world_documents import Documents
from livingworld.coordination.locks.world_locks import WorldLocks
from livingworld.coordination.sessions.world_sessions import Sessions
from livingworld.coordination.sessions.world_tasks import Tasks
from livingworld.erasure.erasing import Erasure
from livingworld.erasure.records import Erased, Scenes
from livingworld.inputs import check_function, check_json_object, check_label, check_uuid
from livingworld.live.live import Live
from livingworld.models.ai_models.serving import AIModels
from livingworld.models.embeddings.embedder import Embedder
from livingworld.models.embeddings.pipeline import EmbeddingPipeline
from livingworld.postgres.idempotency import request_hash, run_once
from livingworld.postgres.replicas.identity import read_end_of_log
from livingworld.postgres.transactions.transaction import Transaction
from livingworld.story.memories.embed_memories import MemoryEmbeddings
from livingworld.story.search.world_search import WorldSearch
from livingworld.story.semantic_search.text_embeddings import TextEmbeddings
from livingworld.story.stories.records import Story
from livingworld.story.turns.take_turn import Turns
from livingworld.story.worlds.records import WorldRecord

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

T = TypeVar("T")


class World(WorldRepositories):
    """One world: its record, and repositories of which each call is one whole transaction with retries."""

    def __init__(self, record: WorldRecord, shared: SharedParts) -> None:
        services = shared.services
        super().__init__(services.unit, shared.appends, shared.lore_keys)
        self._shared, self._unit = shared, services.unit
        #: The world as it was when this object was made.
        self.record = record
        #: Sittings of players.
        self.sessions: Sessions = Sessions(services)
        #: Jobs of a session, one of a kind at a time.
        self.tasks: Tasks = Tasks(services)
        #: Queued commands, one at a time in each lane.
        self.actions: Actions[TransactionScope] = Actions(services, TransactionScope)
        #: AI models, which are registered, served and swapped while they are in use.
        self.ai_models: AIModels = AIModels(services)
        #: Full-text search.
        self.search: WorldSearch = WorldSearch(services.unit)
        #: Versioned state of the whole world, which can be watched.
        self.documents: Documents = Documents(services)
        #: Locks on names, for the length of a transaction.
        self.locks = WorldLocks(services.unit, TransactionScope)
        self._add_shared(shared)

    def _add_shared(self, shared: SharedParts) -> None:
        """Add the parts that all World objects of this world have in common in a process."""
        #: One generation at a time on each branch.
        self.turns: Turns[TransactionScope] = shared.turns
        #: Exclusive rights that last longer than a transaction.
        self.leases = shared.leases
        #: Recurring jobs, one instance of each at a time.
        self.cycles = shared.cycles
        #: Named texts, which are swapped while they are in use.
        self.scripts = shared.scripts
        #: Events of stories, sessions and the world, as they happen.
        self.live: Live[TransactionScope] = shared.live
        #: Players who are connected.
        self.presence = shared.presence

    def embeddings(self, embedder: Embedder) -> EmbeddingPipeline:
        """Return the pipeline from texts to vectors by this embedder; raises InvalidInput for a name that is no label.

        All pipelines of this world in one process share the vectors of one name.
        """
        return EmbeddingPipeline(embedder, self._shared.embeddings)

    def memory_embeddings(self, embedder: Embedder, *former: Embedder) -> MemoryEmbeddings:
        """Return the part that gives memories their vectors by this embedder, and recalls memories by a text.

        `former` embedders answer until this one's vectors are complete; raises InvalidInput as `embeddings` does.
        """
        pipelines = [self.embeddings(each) for each in (embedder, *former)]
        return MemoryEmbeddings(self._unit, pipelines, self._shared.services.metrics)

    def text_embeddings(self, embedder: Embedder) -> TextEmbeddings:
        """Return the part that gives scenes and characters vectors by this embedder, and finds them by a text.

        Vectors of several embedders stand beside each other; raises InvalidInput as `embeddings` does.
        """
        return TextEmbeddings(self._unit, self.leases, self.embeddings(embedder), self._shared.services.metrics)

    async def export_story(self, story_id: UUID, file: BundleFile, *, progress: Report = ignore) -> Bundle:
        """Write all of a story as it is at one moment to a file of JSON Lines, and return what is in it.

        Holds a connection of its own, and no lock; vectors and live events are left out. Raises StoryNotFound,
        BundleFileFailed.
        """
        key = check_uuid("story_id", story_id)
        check_function("progress", progress)
        async with self._shared.one_connection() as database:
            return await export_bundle(database, self.id, key, file, progress, vectors=False)

    async def import_story(self, file: BundleFile, *, progress: Report = ignore) -> Story:
        """Restore a story from its bundle under its own id, in one transaction, and return it.

        The characters of the story are matched by their ids; its memories are embedded again. Raises WorldNotFound,
        StoryExists, CharacterNotFound, BundleDamaged, BundleOfOtherSchema, BundleNotRestored, BundleFileFailed.
        """
        check_function("progress", progress)
        async with self._shared.one_connection() as database:
            return await self.stories.get(await import_story(database, self.id, file, progress))

    async def token(self) -> str:
        """Return a token of now: a read `at_least` as new as it sees whatever was committed before this call.

        In any process; a short text for a cookie or a header. One round trip to the primary.
        """
        return (await self._unit.read(read_end_of_log)).token()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[TransactionScope]:
        """Open one transaction: committed when the block ends, rolled back on any error, never repeated.

        Raises TransactionPoisoned when a statement's error was swallowed inside, CommitUnknown when the connection was
        lost in COMMIT. Use `run` for work that may be repeated.
        """
        async with self._unit.transaction() as transaction:
            yield TransactionScope(transaction)

    async def run(
        self,
        work: Callable[[TransactionScope], Awaitable[T]],
        *,
        request_key: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> T:
        """Run a function of a transaction and return its result; repeat it where PostgreSQL rolled it back.

        With a `request_key` it takes effect once: a repetition with equal `arguments` returns the stored result, which
        must be JSON; one with other arguments raises RequestKeyReused. Without a key a lost COMMIT is CommitUnknown.
        """
        check_function("work", work)
        if request_key is None:
            return await self._unit.write(_in_scope, work)
        key = check_label("request_key", request_key)
        digest = request_hash(check_json_object("arguments", arguments or {}))
        return await self._unit.write_idempotent(_once, work, key, digest)

    async def erase(self, *, player: str, scenes: Scenes = "keep") -> Erased:
        """Remove or blank what one player wrote in this world, and return how many rows of which table that was.

        Her turns, with the prompts and answers of models, lose their input, text and key; her sessions, her presence,
        the cached vectors, and the actions, samples and events that name her as `player` are removed or emptied. The
        text of the scenes that her turns led to is the story's and stays; with `scenes="blank"` it goes too, with what
        became true in them. A turn of hers that runs ends, as does one that took in an input of hers.

        Each transaction is short and locks one story, session, place or lane at a time; other writers go on. Again, it
        erases what came since, or goes on where it was interrupted. Raises InvalidInput; a world that is gone has
        nothing.
        """
        return await Erasure(self._unit, player, scenes).run()

    @asynccontextmanager
    async def join(self, connection: AsyncConnection | AsyncSession) -> AsyncIterator[TransactionScope]:
        """Work inside a transaction that the caller opened, and commits or rolls back.

        The caller's time limits are in force. Raises UnsafeIsolation unless it is READ COMMITTED, and
        TransactionPoisoned at the end of the block when a statement's error was swallowed inside.
        """
        async with self._unit.join(connection) as transaction:
            yield TransactionScope(transaction)


async def _in_scope(tx: Transaction, work: Callable[[TransactionScope], Awaitable[T]]) -> T:
    return await work(TransactionScope(tx))


async def _once(tx: Transaction, work: Callable[[TransactionScope], Awaitable[T]], key: str, digest: bytes) -> T:
    result: T = await run_once(tx, key, digest, partial(_in_scope, tx, work))
    return result
