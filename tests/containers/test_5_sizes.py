"""How large the images are, above the one that they are built from: that one may be a stand-in."""

import pytest

from tests.containers.stack import Stack

pytestmark = pytest.mark.containers

AT_MOST = {"nb-runner-api": 165_000_000, "nb-runner-worker": 540_000_000}


def size(stack: Stack, image: str) -> int:
    """The bytes of an image, with the one that it is built from."""
    return int(stack.docker("image", "inspect", "--format", "{{.Size}}", image))


@pytest.mark.parametrize("image", AT_MOST)
def test_an_image_is_no_larger_than_we_say(built_stack: Stack, image: str) -> None:
    own = size(built_stack, image) - size(built_stack, "python:3.13-slim")
    print(f"{image}: {own:,} bytes")
    assert own < AT_MOST[image]
