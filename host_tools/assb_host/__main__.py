"""`python -m assb_host` is the `assb` command."""

from assb_host.cli import main

main()
