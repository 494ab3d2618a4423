"""The one error that means "what you gave us is wrong", shown to the user as one line."""


class InputError(ValueError):
    """Raised for bad input: names the source, the field, the value and what would be right.

    The command line prints its message as one line and exits with code 2.
    """
