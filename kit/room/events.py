"""What attendees may tell the room. Anything else is refused."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[str, Field(pattern=r"^\d{1,3}\.\d{1,3}$")]
Slug = Annotated[str, Field(pattern=r"^\d\d-[a-z0-9-]{1,60}$")]
Test = Annotated[str, Field(pattern=r"^\w{0,120}$")]
Time = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
TaskState = Literal["passed", "failed", "not_reached", "not_handed_in", "not_checked"]


class Message(BaseModel):
    """What all messages have in common: a field that is not named here is refused."""

    model_config = ConfigDict(extra="forbid")


class Event(Message):
    """Something that has happened at an attendee's, at a time of the attendee's clock.

    `seq` grows from event to event, so an event that comes twice counts once.
    """

    seq: int = Field(ge=1, le=2**53)
    at: Time
    exercise: Slug


class VerdictEvent(Event):
    """A check has ended. `test`: the grader's test that has failed, which names a demand."""

    kind: Literal["verdict"]
    tasks: dict[Number, TaskState] = Field(max_length=40)
    test: Test = ""
    checks: int = Field(ge=0, le=100_000)
    minutes: int = Field(ge=0, le=24 * 60)


class HelpEvent(Event):
    """The attendee asks for help, or takes it back."""

    kind: Literal["help"]
    task: Number | Literal[""] = ""
    wanted: bool


class Events(Message):
    """What was not sent before. `sent_at` is the attendee's clock now."""

    sent_at: Time
    events: list[Annotated[VerdictEvent | HelpEvent, Field(discriminator="kind")]] = Field(
        max_length=100
    )


class Join(Message):
    """A wish to be on the board."""

    code: str = Field(max_length=20)
    name: str = Field(max_length=200)


class Enter(Message):
    """The board's secret."""

    secret: str = Field(max_length=100)


class Mark(Message):
    """Where the instructor says that the room is."""

    now: Slug | Literal[""] = ""
    time_up: bool = False
