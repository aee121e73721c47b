"""The one exception that is a user's to mend."""


class UserError(Exception):
    """Bad input: one line that says what was expected, what was found, where, and what to do.

    The command line prints it without a traceback and exits with code 2.
    """
