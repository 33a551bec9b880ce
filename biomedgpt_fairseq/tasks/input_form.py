"""What a user gives for a prediction."""

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class InputForm:
    """Columns of a task's rows: those the user gives, then those that hold what is asked.

    given: `id`, `image`, `question`, `text` or `second text` (which may be left out), each taken
    from the option of that name. asked: cells in which `{answer}` becomes any answer, so that the
    row builder has a full row.
    """

    given: Tuple[str, ...]
    asked: Tuple[str, ...] = ("{answer}",)
