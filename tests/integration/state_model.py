"""World state in plain Python: what every scene brought, replayed along a path."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.integration.branch_model import StoryModel

#: A fact set (attribute, value or None for retracted), trust changed, or a text remembered.
Change = tuple[str, str | float, int | None]


@dataclass
class Seen:
    facts: dict[str, int | None] = field(default_factory=dict)
    trust: float = 0.0
    changes: int = 0
    memories: list[str] = field(default_factory=list)


@dataclass
class StateModel(StoryModel):
    #: What stands at each scene, in the order of writing; at 0 what stood there before the first.
    brought: dict[int, list[Change]] = field(default_factory=dict)
    #: By scene: the texts that were told there before, with what they brought.
    kept: dict[int, dict[str, list[Change]]] = field(default_factory=dict)

    def bring(self, branch: int, change: Change) -> None:
        head = self.branches[branch].head
        if change[0] != "memory" or change[1] not in self.seen(head).memories:
            self.brought.setdefault(head, []).append(change)

    def regenerate(self, branch: int, text: str) -> int:
        head = self.branches[branch].head
        before = self.texts[head - 1]
        told = super().regenerate(branch, text)
        if told == head:
            self.kept.setdefault(head, {})[before] = self.brought.pop(head, [])
        return told

    def choose(self, branch: int, text: str) -> None:
        head = self.branches[branch].head
        brought = self.kept[head].pop(text)
        self.kept[head][self.texts[head - 1]] = self.brought.pop(head, [])
        self.texts[head - 1], self.brought[head] = text, brought
        self.branches[branch].redo = 0

    def chosen_in_place(self, branch: int) -> list[str]:
        """Return the texts that could be told again at the head of a branch without a scene beside it."""
        head = self.branches[branch].head
        shared = head in self.parents or any(
            other.head == head for number, other in self.branches.items() if number != branch
        )
        return [] if shared else sorted(self.kept.get(head, {}))

    def seen(self, head: int) -> Seen:
        """Return what is true on the path to a scene."""
        seen = Seen()
        for scene in [0, *self.path(head)]:
            for kind, what, value in self.brought.get(scene, []):
                if kind == "memory":
                    seen.memories.append(str(what))
                elif kind == "trust":
                    seen.trust = max(-1.0, min(1.0, seen.trust + float(what)))
                    seen.changes += 1
                elif value is None:
                    seen.facts.pop(str(what), None)
                else:
                    seen.facts[str(what)] = value
        return seen
