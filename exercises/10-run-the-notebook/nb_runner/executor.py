"""Running a notebook: a kernel executes its cells, nbclient hands them over."""

# TODO(10.1): write run(settings): it runs the notebook at settings.notebook_path, in that
#   notebook's own folder, with DATABASE_URL in its environment, no cell longer than
#   settings.cell_timeout; and returns what the cells printed, in a dictionary: {"printed": …}.
#   https://nbclient.readthedocs.io/en/latest/client.html

# TODO(10.2): make an exception NotebookFailed that says in words why the notebook did not run to
#   its end, and carries what it had printed by then; let run() raise it. Celery keeps only the
#   arguments of an exception, as JSON.

# TODO(10.3): each run reads the notebook anew, and has a client of its own.

# TODO(10.4): see to it that no kernel outlives its run, whatever way the run ended.
#   https://nbclient.readthedocs.io/en/latest/reference/nbclient.html
