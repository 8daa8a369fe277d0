"""What all steps of a history have in common."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from tests.convergence.history import HistoryBase
from tests.convergence.truth import BrokenRuleError

Parameters = ParamSpec("Parameters")
History = TypeVar("History", bound=HistoryBase)


def step(
    work: Callable[Concatenate[History, Parameters], None],
) -> Callable[Concatenate[History, Parameters], None]:
    """Count a rule, tell of it in the story, and leave the world in order."""

    @wraps(work)
    def counted(
        self: History, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> None:
        self.tally["steps"] += 1
        self.tally[f"step {work.__name__}"] += 1
        given = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
        self.story.append(f"{work.__name__}({given})")
        try:
            work(self, *args, **kwargs)
        except BrokenRuleError as error:
            self.tell_failure(error)
            raise
        except Exception:
            self.is_broken = True
            self.note_failure()
            raise

    return counted
