"""An API with bounds on what comes in and a choice of what goes out, for chapter 03."""

from typing import Annotated

from fastapi import FastAPI, HTTPException, Path, Query
from pydantic import BaseModel, Field

app = FastAPI(title="Library", description="Shows books.", version="1.0.0")


class Book(BaseModel):
    """A book, as visitors see it."""

    title: str = Field(min_length=1, max_length=80)
    pages: int = Field(100, ge=1, le=5000)


class Bought(Book):
    """A book, as the library keeps it."""

    price: float


shelves = {"A": [Bought(title="Dune", pages=412, price=9.5), Bought(title="Emma", price=7)]}


@app.get("/shelves/{name}", response_model=list[Book])
async def shelf(
    name: Annotated[str, Path(max_length=2)],
    pages: Annotated[int, Query(ge=1, le=5000)] = 5000,
) -> list[Bought]:
    """The books of a shelf that have at most so many pages."""
    if name not in shelves:
        raise HTTPException(404, f"There is no shelf {name!r}.")
    return [book for book in shelves[name] if book.pages <= pages]
