"""What the process that forks story generators imports once."""

from tests.examples.story_generator_program import preload

preload()
