"""Running a notebook: a kernel executes its cells, nbclient hands them over."""

# TODO(10.1): write run(settings). It runs the notebook at settings.notebook_path, in that
#   notebook's own folder, with DATABASE_URL in its environment. No cell may take longer than
#   settings.cell_timeout. It returns what the cells printed, in a dictionary: {"printed": …}.
#   https://nbclient.readthedocs.io/en/latest/client.html

# TODO(10.2): make an exception NotebookFailed. It says, readable, why the notebook did not run to
#   its end, and carries what was printed until then. run() raises it. Celery keeps only the
#   arguments of an exception, as JSON.

# TODO(10.3): each run reads the notebook again, and has a client of its own.

# TODO(10.4): no kernel may outlive its run, in whatever way the run ended.
#   https://nbclient.readthedocs.io/en/latest/reference/nbclient.html
