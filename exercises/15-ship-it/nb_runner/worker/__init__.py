"""What a worker's processes have beside the run of tasks.py: how they start, stop and report."""
