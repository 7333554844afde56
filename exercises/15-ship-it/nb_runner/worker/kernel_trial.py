"""Whether a kernel can be started by now: python -m nb_runner.worker.kernel_trial. Prints why not.

A process of its own: in a pool process there is one kernel at a time, and what ends it ends all.
"""

from ..config import get_settings
from ..executor import Executor


def main() -> None:
    """Start the kernel of the notebook, and end it."""
    executor = Executor(get_settings(), beat_timeout=60)
    executor.warm_up(get_settings().notebook_path)
    print(executor.no_kernel, end="")
    executor.close()


if __name__ == "__main__":
    main()
