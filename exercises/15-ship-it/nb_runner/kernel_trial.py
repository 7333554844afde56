"""Whether a kernel can be started by now: python -m nb_runner.kernel_trial. Prints why not.

A process of its own: in a pool process there is one kernel at a time, and what ends it ends all.
"""

from .config import settings
from .executor import Executor


def main() -> None:
    """Start the kernel of the notebook, and end it."""
    executor = Executor(settings(), beat_timeout=60)
    executor.warm_up(settings().notebook_path)
    print(executor.no_kernel, end="")
    executor.close()


if __name__ == "__main__":
    main()
