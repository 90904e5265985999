"""Ask many questions of the outside at once, for so long and no longer."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


def ask_side_by_side(
    ask: Callable[[Question], Answer], questions: Iterable[Question], at_once: int, within_seconds: float
) -> dict[Question, Answer]:
    """The answers that came within `within_seconds`; `ask` raises nothing.

    Threads of their own, not an executor's: one that hangs in the system's resolver must keep no process from its end.
    """
    waiting, answers = deque(questions), dict[Question, Answer]()

    def ask_the_next() -> None:
        while True:
            try:
                question = waiting.popleft()
            except IndexError:
                return
            answers[question] = ask(question)

    threads = [threading.Thread(target=ask_the_next, daemon=True) for _ in range(min(at_once, len(waiting)))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + within_seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    waiting.clear()
    return dict(answers)
