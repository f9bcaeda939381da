"""The deployment package: all that a board or a vendor tool needs of a build, with a checksum of every file."""
