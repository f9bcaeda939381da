"""The one exception of this package for what a user can put right."""


class CamError(ValueError):
    """A mistake in what the package was given, told in one line.

    Args:
        place: where it is: a file, an array, a parameter.
        expected: what was wanted there.
        got: what was found.
        remedy: what the user does about it.
    """

    def __init__(self, place: str, expected: str, got: str, remedy: str) -> None:
        super().__init__(f"{place}: expected {expected}, got {got}; {remedy}")
        self.place = place
        self.expected = expected
        self.got = got
        self.remedy = remedy
