"""Tell people something, by Apprise: python -m nb_runner.extras.tell < message.json

A process of its own, for a few seconds: Apprise loads some two hundred services, and its log shows
their keys. It prints a line when no other process can read its memory any more: only then is it to
be given the message, which has the keys in it.
"""

import logging
import sys

from apprise import Apprise, NotifyFormat, NotifyType

from ..notebook import process_tree
from .tell_message import NOT_TOLD, UNKNOWN, Message


def main(message: Message) -> int:
    """Tell it. Answers the exit code."""
    logging.disable()
    people = Apprise()
    if not people.add(message.urls):
        return UNKNOWN
    if not message.title:
        return 0
    told = people.notify(
        title=message.title,
        body=message.body,
        notify_type=NotifyType(message.kind),
        body_format=NotifyFormat.TEXT,  # else a mail would be HTML
    )
    return 0 if told else NOT_TOLD


if __name__ == "__main__":
    process_tree.conceal()
    print("concealed", flush=True)
    sys.exit(main(Message.model_validate_json(sys.stdin.read())))
