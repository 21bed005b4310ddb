"""The web app: bring clips, correct what was found in them, run edits in a queue, look at them; and the same as an API.

A library is a folder: clips as they came and as ``eym prepare`` leaves them, jobs as ``eym edit`` leaves them, and one
SQLite file that says what is there. Whatever a process was doing when it ended is gone on with from these.
"""
