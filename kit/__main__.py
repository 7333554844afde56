"""`python -m kit`: what `./workshop` hands over to."""

from kit.cli import main

if __name__ == "__main__":
    main()
