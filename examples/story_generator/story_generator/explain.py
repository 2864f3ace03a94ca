"""Errors in words: what happened, and what a player can do next."""

from __future__ import annotations

from typing import Any, Final

from livingworld import errors

#: What a player can do: buttons of the page.
TRY_AGAIN: Final = "try again"
WAIT: Final = "queue"
MERGE: Final = "merge"
TAKE_OVER: Final = "take over"


class StoppedError(Exception):
    """A player has stopped the turn."""

    def __init__(self, player: str) -> None:
        super().__init__(f"{player} stopped this turn. No scene was stored.")


_NOTHING: Final[tuple[str, ...]] = ()
_AGAIN: Final[tuple[str, ...]] = (TRY_AGAIN,)
_WORDS: Final[dict[type[Exception], tuple[str, tuple[str, ...]]]] = {
    errors.Busy: (
        "Another turn is being written. Wait for it, join the next turn, or take over.",
        (WAIT, MERGE, TAKE_OVER),
    ),
    errors.StaleHead: ("The story has moved on since you read it. Read the new scene, then send again.", (TRY_AGAIN,)),
    errors.Fenced: ("Another player took this turn over. No scene was stored for you.", (TRY_AGAIN,)),
    errors.TurnTimeout: ("The story was busy for too long. Nothing was stored.", (TRY_AGAIN,)),
    errors.ChoiceNotFound: ("This choice is gone: the story has moved on. Read the new scene.", ()),
    errors.RequestKeyReused: ("The page sent two requests under one key. Send again.", (TRY_AGAIN,)),
    errors.NothingToUndo: ("There is no scene to undo.", ()),
    errors.NothingToRedo: ("There is nothing to redo: the story went on from here.", ()),
    errors.BranchNameTaken: ("A branch has this name already. Choose another name.", ()),
    errors.StoryNotFound: ("This story does not exist. Choose one in the list.", ()),
    errors.BranchNotFound: ("This branch does not exist any more. Choose one in the tree.", ()),
    errors.SceneNotFound: ("This scene does not exist.", ()),
    errors.GenerationIncomplete: ("No scene was made of this answer. Choose another one.", ()),
    errors.Archived: ("The story is archived: it can be read, not continued.", ()),
    errors.Overloaded: ("Too many players at once. Wait a moment, then try again.", (TRY_AGAIN,)),
    errors.Timeout: ("The database took too long. Nothing was stored.", (TRY_AGAIN,)),
    errors.Unavailable: ("The database cannot be reached. Your text is kept; try again in a moment.", (TRY_AGAIN,)),
}
_LIBRARY: Final = ("The server cannot do this now. Look at its log.", (TRY_AGAIN,))


def explain(error: Exception) -> dict[str, Any]:
    """Return the name of an error, its words, and the next steps; a model's failure has words of its own."""
    words, steps = str(error), _AGAIN
    if isinstance(error, errors.InvalidInput):
        steps = _NOTHING  # it says which field, and why
    elif isinstance(error, errors.LivingWorldError):
        words, steps = next((_WORDS[kind] for kind in type(error).__mro__ if kind in _WORDS), _LIBRARY)
    if isinstance(error, errors.Busy) and error.player:
        words = words.replace("Another turn is being written", f"{error.player} has the turn")
    return {"error": type(error).__name__, "message": words, "next": list(steps)}
