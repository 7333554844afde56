"""Running untrusted code: in a sandbox, within limits, and killed at the end."""
