"""Find learners' submissions, folders or archives, and copy them so that they can do no harm."""
