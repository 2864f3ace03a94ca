"""An example that has everything but the application's own model."""


class Narrator:
    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.seed = seed

    async def tell(self, prompt: str) -> str:
        return "yes" if prompt == "Say yes." else "The lamplighter."


# the example stands here
