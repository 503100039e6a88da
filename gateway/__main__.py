"""Shell. `python -m gateway` is the command `gauger`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
