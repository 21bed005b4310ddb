"""The command that serves the web app."""

from pathlib import Path


def serve(
    folder: Path = Path("library"),
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    device: tuple[str, ...] = ("auto",),
    settings: tuple[Path, ...] = (),
) -> None:
    """Serve the web app: clips, corrections and edits in a browser.

    On any address but this machine's own a token is demanded; the link that is printed has it. Jobs go on where they
    stopped when the same FOLDER is served again.

    Parameters
    ----------
    folder
        Library of clips and jobs; made if it is absent.
    host
        Address to listen on; 0.0.0.0 is all of them.
    port
        Port to listen on.
    device
        What computes, repeated for several: one job at a time runs on each.
    settings
        YAML file of settings to choose from beside those that ship, such as another base; repeated for several.
    """
    from edit_your_motion.serving.server import listen, make_server, serve_until_interrupted
    from edit_your_motion.storage.locking import held
    from edit_your_motion.web.access import Access, is_loopback, load_token
    from edit_your_motion.web.job_runner import JobRunner
    from edit_your_motion.web.library import FILE, Library
    from edit_your_motion.web.offers import gather_offers
    from edit_your_motion.web.server import make_app

    offers = gather_offers(settings)
    library = Library(folder)
    token = None if is_loopback(host) else load_token(folder)
    runner = JobRunner(library, device)
    server = make_server(make_app(library, runner, offers, Access(token), {}), "web")
    with held(folder / FILE), listen(host, port) as listening:
        runner.start()
        query = "" if token is None else f"?token={token}"
        try:
            serve_until_interrupted(
                server, listening, query, ended="ended; what was running goes on when it is served again"
            )
        finally:
            runner.stop()
