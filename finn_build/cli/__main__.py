"""`python -m finn_build.cli`: the same as `finn-cam`."""

from finn_build.cli import main

main()
