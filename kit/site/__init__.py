"""The pages that are built and served on this machine: handbook and slides."""
