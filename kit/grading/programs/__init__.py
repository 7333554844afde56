"""Programs that graders start, each in a process of its own, with the project's environment.

They import or start what the project has, which graders do not. `kit.grading.programs.start` starts
them.
"""
