"""The notebook as a file, and the kernel that runs it."""
