"""What all steps of a history have in common."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from tests.convergence.history import HistoryBase

Parameters = ParamSpec("Parameters")
History = TypeVar("History", bound=HistoryBase)


def step(
    work: Callable[Concatenate[History, Parameters], None],
) -> Callable[Concatenate[History, Parameters], None]:
    """Count a rule, and tell of it in the story."""

    @wraps(work)
    def counted(
        self: History, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> None:
        self.tally["steps"] += 1
        self.tally[f"step {work.__name__}"] += 1
        given = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
        with self.step(f"{work.__name__}({given})"):
            work(self, *args, **kwargs)

    return counted
