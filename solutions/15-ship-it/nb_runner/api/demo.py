"""GET /lease: how long the lease still lasts. Only in demo mode, for the page."""

from pydantic import BaseModel, Field

from ..config import get_settings
from ..connection import api_redis
from ..names import names
from .security import router_for_runs

router = router_for_runs()


class LeaseLeft(BaseModel):
    """The lease at this moment."""

    run_id: str | None = Field(description="The run that holds it; null: a start would get in")
    left: float = Field(description="Seconds until it runs out, unless it is renewed")
    lasts: float = Field(description="Seconds that it lasts when it has just been renewed")


@router.get("/lease")
async def lease() -> LeaseLeft:
    """Which run holds the lease, and for how long still."""
    async with api_redis().pipeline() as pipe:
        pipe.get(names().lease)
        pipe.pttl(names().lease)
        holder, left_ms = await pipe.execute()
    run_id = str(holder).partition(":")[0] if holder else None
    return LeaseLeft(run_id=run_id, left=max(0, left_ms) / 1000, lasts=get_settings().lease_seconds)
