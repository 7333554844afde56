"""How large the images are, above the one that they are built from: that one may be a stand-in.

And that nothing was broken by making them small.
"""

import pytest

from tests.containers.stack import Stack

pytestmark = pytest.mark.containers

AT_MOST = {"nb-runner-api": 130_000_000, "nb-runner-worker": 490_000_000}


def size(stack: Stack, image: str) -> int:
    """The bytes of an image, with the one that it is built from."""
    return int(stack.docker("image", "inspect", "--format", "{{.Size}}", image))


@pytest.mark.parametrize("image", AT_MOST)
def test_an_image_is_no_larger_than_we_say(built_stack: Stack, image: str) -> None:
    own = size(built_stack, image) - size(built_stack, "python:3.13-slim")
    print(f"{image}: {own:,} bytes")
    assert own < AT_MOST[image]


LOAD_ALL = """
import ctypes, os, pathlib
modules = sorted(pathlib.Path("/venv/lib").rglob("*.so"))
for module in modules:
    ctypes.CDLL(str(module))
print(len(modules), flush=True)
os._exit(0)  # without tearing them down: none was imported as Python does it
"""


@pytest.mark.parametrize("image", AT_MOST)
def test_compiled_modules_without_their_symbols_can_be_loaded(
    built_stack: Stack, image: str
) -> None:
    loaded = built_stack.docker("run", "--rm", "--network=none", image, "python", "-c", LOAD_ALL)
    assert int(loaded) > 20
