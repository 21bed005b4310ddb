"""The executor that needs nothing: one task after the other, in this process."""

from collections.abc import Generator, Sequence

from edit_your_motion.executors.contract import Outcome, Task, check_names, perform


class InProcess:
    """Does tasks in this process."""

    def run(self, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        """See `Executor.run`."""
        check_names(tasks)
        yield from map(perform, tasks)
