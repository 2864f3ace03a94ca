"""An HTTP server that speaks the chat-completions protocol, well and badly, as the player's instruction says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

BEGIN: Final = "The boat came in. "
REST: Final = "A lamp burned on it.\n\n1. Step ashore\n2. Stay\n"
NOTES: Final = """\
---
cast: Mara, Tom
fact: Mara | mood | wary
memory: Tom | The lamp.
feels: Mara | Tom | trust +0.5 | the boat
"""


def streamed(*pieces: str) -> str:
    """Return pieces of an answer as they are streamed."""
    return "".join(f"data: {json.dumps({'choices': [{'delta': {'content': piece}}]})}\n\n" for piece in pieces)


_END: Final = "data: [DONE]\n\n"
_WELL: Final = streamed(BEGIN, REST, NOTES) + _END
#: What is answered to a request whose instruction has this word.
ANSWERS: Final = {
    "failing": (500, "no"),
    "unknown": (404, "no such model"),
    "cut off": (200, streamed(BEGIN)),
    "garbage": (200, "data: {no json\n\n" + _END),
    "strange": (200, 'data: {"choices": 7}\n\n' + _END),
    "nothing": (200, _END),
}


class FakeModel:
    """The endpoint; a request with the word `slow` gets its beginning at once, and the rest when it is released."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}/v1"
        #: What it was asked.
        self.requests: list[dict[str, Any]] = []
        self._released = threading.Event()

    def release(self) -> None:
        """Let all that is held go on."""
        self._released.set()
        self._released = threading.Event()

    def asked_for(self, word: str) -> list[list[dict[str, str]]]:
        """Return the messages of each request with a word in its prompt."""
        return [each["messages"] for each in self.requests if word in each["messages"][0]["content"]]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        released = self._released  # before the request is seen: a release right after that is meant for it
        self.requests.append({"path": handler.path, **body})
        prompt = body["messages"][0]["content"].partition("The player asks:")[2].partition("Write the next")[0]
        status, text = next((ANSWERS[word] for word in ANSWERS if word in prompt), (200, _WELL))
        handler.send_response(status)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        if "slow" in prompt and len(body["messages"]) == 1:
            handler.wfile.write(streamed(BEGIN).encode())
            handler.wfile.flush()
            released.wait(60)
            text = streamed(REST, NOTES) + _END
        elif len(body["messages"]) > 1:
            text = streamed(REST, NOTES) + _END
        handler.wfile.write(text.encode())

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """Serve while the block runs."""

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                try:
                    model.answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            model = cls(server)
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield model
            finally:
                model.release()
                server.shutdown()
                thread.join()
