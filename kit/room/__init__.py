"""The instructor's side of a room: what attendees join, the board, and what the room serves."""
