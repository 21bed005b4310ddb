"""The commands of the user study: make, serve, export, report."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from edit_your_motion.cli.printing import console, show
from edit_your_motion.cli.settings import Quiet
from edit_your_motion.errors import counted

study = App(name="study", group="Measure", help="Ask people which of two results they prefer (Eq. 18).")


@study.command
def make(
    folder: Path,
    /,
    *,
    contact: str = "the person who invited you",
    ours: str | None = None,
    theirs: tuple[str, ...] = (),
    sources: Path | None = None,
    references: Annotated[Path | None, Parameter(help="Folder of the reference videos.")] = None,
    benchmark: Path | None = None,
    cases: tuple[str, ...] = (),
    prompts: Path | None = None,
    title: str = "Which video is better?",
    reference_shows: Literal["skeletons", "video"] | None = None,
    comparisons_per_person: int | None = None,
    seed: int = 33,
    quiet: Quiet = False,
) -> None:
    """Collect clips of several methods for people to compare.

    Clips come from folders, as CASE.mp4 or as CASE/edited.mp4, CASE/source.mp4, CASE/reference.mp4, or from those of a
    --benchmark. Correct FOLDER/study.yaml, its consent text first of all, before anybody takes part.

    Parameters
    ----------
    folder
        Folder of the study, a new one.
    contact
        Who is responsible and how to reach them, for the consent text.
    ours
        Folder of our results, or NAME=FOLDER, or the method's name with --benchmark.
    theirs
        NAME=FOLDER of another method's results, or its name with --benchmark.
    sources
        Folder of the source videos.
    benchmark
        Folder of a benchmark, instead of those folders.
    cases
        Cases, by name; default: all of ours.
    prompts
        YAML file of prompts by case; default: those in CASE/config.yaml beside our results.
    title
        Title of the page.
    reference_shows
        What the third question calls the reference; default: video with --benchmark, else skeletons.
    comparisons_per_person
        How many each participant sees; default: all.
    seed
        Seed of the order and the sides.
    """
    from edit_your_motion.cli.progress import TerminalProgress
    from edit_your_motion.runtime.progress import SilentProgress
    from edit_your_motion.study.collection import collect_study, find_origins, load_prompts
    from edit_your_motion.study.definition import FILE, paper_questions, write_consent

    origins = find_origins(benchmark, ours, theirs, sources, references, load_prompts(prompts))
    shown = reference_shows or ("skeletons" if benchmark is None else "video")
    reference = "reference skeletons video" if shown == "skeletons" else "reference video"
    seen = sys.stderr.isatty() and not quiet
    made = collect_study(
        folder,
        origins,
        cases,
        TerminalProgress(console(errors=True, wrap=True)) if seen else SilentProgress(),
        title=title,
        consent=write_consent(contact),
        seed=seed,
        reference_title=reference.capitalize(),
        questions=paper_questions(reference),
        comparisons_per_person=comparisons_per_person,
    )
    if not quiet:
        mute = sum(case.prompt is None for case in made.cases)
        unasked = f"; not asked about a prompt, for lack of one: {counted(mute, 'case')}" if mute else ""
        sys.stdout.write(
            f"{counted(len(made.cases), 'case')}, {counted(len(made.comparisons), 'comparison')}, "
            f"{counted(len(made.clips), 'clip')}{unasked}\n"
            f"read {folder / FILE}, then: eym study serve {folder}\n"
        )


@study.command
def serve(folder: Path, /, *, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve the study's page until Ctrl-C; answers go to answers.sqlite.

    Beyond this machine, put it behind a web server with https.

    Parameters
    ----------
    folder
        Folder that 'eym study make' made.
    host
        Address to listen on; 0.0.0.0 is all of them.
    port
        Port to listen on.
    """
    from edit_your_motion.serving.server import listen, make_server, serve_until_interrupted
    from edit_your_motion.study.server import make_app

    server = make_server(make_app(folder))
    with listen(host, port) as listening:
        serve_until_interrupted(server, listening, ended="ended; every answer is saved")


@study.command
def export(folder: Path, table: Path, /) -> None:
    """Write every answer to a CSV file, with its participant's marks.

    Parameters
    ----------
    folder
        Folder of the study.
    table
        CSV file to write.
    """
    from edit_your_motion.study.answers import FILE, AnswerBook
    from edit_your_motion.study.definition import load_study
    from edit_your_motion.study.table import list_rows, write_table

    rows = list_rows(AnswerBook(folder / FILE, load_study(folder)))
    write_table(table, rows)
    sys.stdout.write(f"{counted(len(rows), 'answer')}: {table}\n")


@study.command
def report(folder: Path, /, *, answers: Path | None = None, quiet: Quiet = False) -> None:
    """Score the study: Eq. 18, by method and question.

    Parameters
    ----------
    folder
        Folder of the study.
    answers
        CSV file of 'eym study export'; default: answers.sqlite.
    """
    from edit_your_motion.study.answers import FILE, AnswerBook
    from edit_your_motion.study.definition import load_study
    from edit_your_motion.study.report import report_study, to_markdown, write_report
    from edit_your_motion.study.table import list_rows, read_table

    study = load_study(folder)
    rows = list_rows(AnswerBook(folder / FILE, study)) if answers is None else read_table(answers)
    found = report_study(study, rows)
    write_report(folder, found)
    if not quiet:
        show(to_markdown(found))
