"""The course as data: exercises, decks, timetables, and what the learner has done."""
