"""The attendee's side of a room: what is told to it, kept in a file until it has been sent.

Standard library only: a process of its own sends, and has to start quickly.
"""
