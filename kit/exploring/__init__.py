"""All schedules and all crash points of a learner's runner: `./workshop explore`."""
