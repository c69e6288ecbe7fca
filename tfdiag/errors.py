"""The one exception that tfdiag raises for what a user can cause outside an argument."""


class TfdiagError(Exception):
    """A problem that the user can solve: a missing package, a missing or newer recording.

    The command line and the TensorBoard plugin show its text and nothing else.
    """
