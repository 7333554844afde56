"""The questions at the end of a chapter, which a learner answers for themselves."""

import re

from kit.course.catalogue import Exercise

# As Markdown has them: a block that opens when its title is clicked. The title is the question.
QUESTION = re.compile(r'^\?{3} question "(.+)"$', re.MULTILINE)


def questions(exercise: Exercise) -> list[str]:
    """The questions, without their answers; none without a chapter."""
    if not exercise.chapter.is_file():
        return []
    return QUESTION.findall(exercise.chapter.read_text(encoding="utf-8"))
