"""A benchmark's cases as tasks of an executor: each is made as it is in one process, only somewhere else."""

from collections.abc import Sequence
from contextlib import closing

from edit_your_motion.benchmark.cells import Failure
from edit_your_motion.executors.contract import Executor, Task, interrupted_by_sigterm
from edit_your_motion.runtime.progress import Progress


def spread_cases(executor: Executor, tasks: Sequence[Task], progress: Progress) -> list[Failure]:
    """Does the tasks, each of which returns the failures of its case, and returns all of them, in the order of cases.

    Args:
        executor: does them.
        tasks: of the cases' names.
        progress: is told how many are done.
    """
    failures: dict[str, list[Failure]] = {}
    with (
        interrupted_by_sigterm(),
        progress.phase("cases", len(tasks)) as advance,
        closing(executor.run(tasks)) as outcomes,
    ):
        for outcome in outcomes:
            whole = [] if outcome.error is None else [Failure(outcome.name, "every method", outcome.error)]
            failures[outcome.name] = whole or outcome.value
            advance()
    return [failure for task in tasks for failure in failures[task.name]]
