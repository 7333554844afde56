"""What the room serves to attendees: the kit, its packages, handbook and slides."""
