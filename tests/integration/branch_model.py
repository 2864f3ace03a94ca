"""A story's tree and branches in plain Python: what the library is compared with after every step."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class BranchModel:
    name: str
    head: int = 0
    #: The farthest scene that undo and rewind left; 0: there is nothing to redo.
    redo: int = 0


@dataclass
class StoryModel:
    #: Parent of scene n at place n - 1; 0 for a first scene.
    parents: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    branches: dict[int, BranchModel] = field(default_factory=lambda: {1: BranchModel("main")})
    current: int = 1
    counted: int = 1

    def path(self, head: int) -> list[int]:
        """Return the scenes from the start to a head."""
        path = []
        while head:
            path.append(head)
            head = self.parents[head - 1]
        return path[::-1]

    def append(self, branch: int, text: str) -> int:
        self.parents.append(self.branches[branch].head)
        self.texts.append(text)
        self.branches[branch].head = len(self.parents)
        self.branches[branch].redo = 0
        return len(self.parents)

    def fork(self, name: str, at: int) -> int:
        self.counted += 1
        self.branches[self.counted] = BranchModel(name, at)
        return self.counted

    def move_back(self, branch: int, to: int) -> None:
        moved = self.branches[branch]
        if to != moved.head:
            moved.redo = moved.redo or moved.head
            moved.head = to

    def redo_path(self, branch: int) -> list[int]:
        """Return the scenes that redo can go forward over."""
        moved = self.branches[branch]
        return self.path(moved.redo)[len(self.path(moved.head)) :] if moved.redo else []

    def redo(self, branch: int, turns: int) -> None:
        moved = self.branches[branch]
        moved.head = self.redo_path(branch)[turns - 1]
        if moved.head == moved.redo:
            moved.redo = 0

    def regenerate(self, branch: int, text: str) -> int:
        """Regenerate the scene at the head: in place when no scene follows it, otherwise beside it."""
        head = self.branches[branch].head
        shared = head in self.parents or any(
            other.head == head for number, other in self.branches.items() if number != branch
        )
        self.branches[branch].redo = 0
        if shared:
            self.branches[branch].head = self.parents[head - 1]
            return self.append(branch, text)
        self.texts[head - 1] = text
        return head
