"""Which errors a retry can cure and which it cannot, and why."""

from __future__ import annotations

from typing import Final

#: What reading again, or a moment's patience, changes: then the same wish can succeed.
CONFLICTS: Final = {
    "StaleHead": "the head is read again",
    "VersionConflict": "the version is read again",
    "BranchChanged": "the current branch is read again",
    "SessionCleared": "the epoch is read again",
    "ActiveModelChanged": "the activation is read again",
    "AlreadyConsolidated": "what is still a memory by itself is read again",
    "Busy": "the turn that runs comes to its end",
    "AlreadyRunning": "what runs comes to its end",
    "LeaseHeld": "the holder comes to its end",
    "QueueFull": "a worker takes an action from the lane",
    "LimitReached": "others have gone",
    "Fenced": "the turn or lease is taken again, with a token that counts",
    "TaskSuperseded": "the task is taken over again, or another one is created",
    "ActionSuperseded": "the action is claimed again",
    "SerializationFailure": "the other transaction is over",
    "DeadlockDetected": "the other transaction is over",
}
#: What stays refused however often it is read and tried: somebody has to wish for something else first.
REFUSALS: Final = {
    "RequestKeyReused": "the key belongs to another request for ever",
    "NameTaken": "the name belongs to another character",
    "SameCharacter": "nobody feels anything toward herself",
    "BranchNameTaken": "the name belongs to another branch",
    "BranchInUse": "another branch has to be made the current one",
    "NothingToUndo": "there are not so many scenes",
    "NothingToRedo": "what was undone is no continuation any more",
    "Archived": "the story has to be restored",
    "GenerationIncomplete": "nobody can make it a scene",
    "NotCountable": "the value is no number",
    "NotMergeable": "the value is no object",
    "SessionClosed": "a session is never opened again",
    "TaskEnded": "what is over cannot be cancelled",
    "TaskCancelled": "somebody wants it to stop",
    "AlreadyCancelling": "somebody has asked before",
    "ActionExpired": "a deadline does not come back",
    "ActionEnded": "what is over cannot be cancelled",
    "ActionCancelled": "somebody wants it to stop",
    "ScriptActive": "another version has to be made the active one",
    "ScriptRetired": "a version is retired for ever",
    "NothingToRollBack": "there is no version to go back to",
    "ModelNotValidated": "the model has to be loaded first",
    "ModelNotStaging": "the model has to be registered again",
    "LockOrderViolation": "the calls have to come in another order",
    "WorldExists": "the world that is there has to be removed, or the bundle gets another id",
    "StoryExists": "the story that is there has to be removed",
    "BundleDamaged": "another copy of the bundle is needed",
    "BundleOfOtherSchema": "the database has to be at the revision of the bundle",
}
