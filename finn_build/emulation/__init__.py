"""The emulated board: the packaged driver runs unchanged, and behind it the verified models answer."""
