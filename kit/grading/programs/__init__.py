"""Programs that graders start, each in a process of its own, with the project's environment.

They import the project, which graders do not. `kit.grading.programs.start` starts them.
"""
