"""Start it: `python -m story_generator --help`."""

from __future__ import annotations

import argparse
import os

import uvicorn

from story_generator.app import create_app
from story_generator.config import Config


def main() -> None:
    """Serve until interrupted; the schema is there already (`livingworld db upgrade`)."""
    config = parse()
    os.environ.setdefault("LIVINGWORLD_TURN_LEASE", "10")  # seconds after which the turn of a dead server is taken over
    print(f"http://{config.host}:{config.port}", flush=True)
    uvicorn.run(
        create_app(config), host=config.host, port=config.port, log_level="warning", timeout_graceful_shutdown=3
    )


def parse() -> Config:
    """Read the command line; the key of the model comes from the environment, OPENAI_API_KEY."""
    parser = argparse.ArgumentParser(prog="story_generator", description="Write stories with a language model.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--database-url", default=os.environ.get("LIVINGWORLD_DATABASE_URL"), help="default: the embedded server"
    )
    parser.add_argument("--model-url", help="of an OpenAI-compatible endpoint: http://localhost:11434/v1 for Ollama")
    parser.add_argument("--model", default="llama3.2", help="name of the model there")
    parser.add_argument("--model-timeout", type=float, default=60, help="seconds that the model may be silent")
    parser.add_argument("--seed", type=int, default=7, help="of the built-in model, which needs no key")
    parser.add_argument(
        "--word-delay", type=float, default=0.03, help="seconds that the built-in model takes for a word"
    )
    arguments = parser.parse_args()
    return Config(**vars(arguments), model_key=os.environ.get("OPENAI_API_KEY"))


if __name__ == "__main__":
    main()
