"""Grade many learners: find their submissions, grade copies in sandboxes, and write reports."""
