"""What goes from the API to the process that tells people, and back."""

from pydantic import BaseModel

# Exit codes of that process: a URL is not one of Apprise's; not everybody could be told.
UNKNOWN, NOT_TOLD = 3, 4


class Message(BaseModel):
    """What to tell, and to whom. Without a title, only the URLs are looked at."""

    urls: str
    title: str = ""
    body: str = ""
    kind: str = "info"  # or success, warning, failure; services show it by a colour
