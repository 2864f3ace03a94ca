"""A model behind the chat-completions protocol, as OpenAI, Ollama, llama.cpp and vLLM serve it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Final

import httpx

_CONNECT_SECONDS: Final = 10
_CONTINUE: Final = "Continue exactly where you stopped. Repeat nothing."


class ModelFailedError(Exception):
    """The model gave no usable answer; the message says why, and what to do."""


class OpenAIModel:
    """One model of one endpoint."""

    def __init__(self, url: str, name: str, key: str | None, timeout: float) -> None:
        self.name = name
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = httpx.Timeout(_CONNECT_SECONDS, read=timeout)

    async def stream(self, prompt: str, begun: str = "") -> AsyncIterator[str]:
        """Give the answer as the endpoint streams it."""
        messages = [{"role": "user", "content": prompt}]
        if begun:
            messages += [{"role": "assistant", "content": begun}, {"role": "user", "content": _CONTINUE}]
        ended = False
        try:
            async for line in self._lines({"model": self.name, "stream": True, "messages": messages}):
                ended = ended or line == "data: [DONE]"
                if line.startswith("data: ") and not ended:
                    yield _piece(line.removeprefix("data: "))
        except httpx.HTTPStatusError as error:
            raise ModelFailedError(self._refused(error.response.status_code)) from error
        except httpx.TimeoutException as error:
            raise ModelFailedError(self._silent(error)) from error
        except httpx.HTTPError as error:
            raise ModelFailedError(
                f"{self._url} cannot be reached. Start the model's server, then try again."
            ) from error
        except (ValueError, LookupError, TypeError) as error:
            reason = f"{self._url} answered something that is no chat completion. Check --model-url."
            raise ModelFailedError(reason) from error
        if not ended:
            raise ModelFailedError("The model's answer was cut off. Try again.")

    async def _lines(self, request: dict[str, object]) -> AsyncIterator[str]:
        async with (
            httpx.AsyncClient(timeout=self._timeout) as client,
            client.stream("POST", f"{self._url}/chat/completions", json=request, headers=self._headers) as response,
        ):
            response.raise_for_status()
            async for line in response.aiter_lines():
                yield line

    def _refused(self, status: int) -> str:
        steps = {
            401: "It wants a key: set OPENAI_API_KEY and restart the server.",
            403: "The key may not use this model: check OPENAI_API_KEY and --model.",
            404: f'It has no model "{self.name}": check --model and --model-url. With Ollama: ollama pull {self.name}.',
            429: "It has too many requests: wait a minute, then try again.",
        }
        step = steps.get(status, "Try again; if it stays so, look at the log of the model's server.")
        return f"The model's server answered HTTP {status}. {step}"

    def _silent(self, error: httpx.TimeoutException) -> str:
        if isinstance(error, httpx.ConnectTimeout):
            return self._unreached()
        return f"The model was silent for {self._timeout.read:g} seconds. Try again, or choose a smaller model."

    def _unreached(self) -> str:
        return f"{self._url} cannot be reached. Start the model's server, then try again."


def _piece(data: str) -> str:
    choices = json.loads(data)["choices"]
    return str(choices[0]["delta"].get("content") or "") if choices else ""
