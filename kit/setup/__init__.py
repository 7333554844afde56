"""Set-up, before anything is installed, and looking for what could go wrong."""
