"""The same API for programs that are not asynchronous: every call blocks, and any thread may make it.

One event loop in a thread of its own answers the calls of all threads. The records, inputs and errors are those of
`livingworld`.
"""

from livingworld.sync.generated import RunningAction as RunningAction
from livingworld.sync.generated import RunningTask as RunningTask
from livingworld.sync.generated import Subscription as Subscription
from livingworld.sync.generated import TransactionScope as TransactionScope
from livingworld.sync.generated import Turn as Turn
from livingworld.sync.generated import World as World
from livingworld.sync.mirror import Block as Block
from livingworld.sync.mirror import Event as Event
from livingworld.sync.mirror import Items as Items
from livingworld.sync.opening import LivingWorld as LivingWorld
from livingworld.sync.opening import deadline as deadline
