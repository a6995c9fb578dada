"""The one error of the local stack."""


class StackError(Exception):
    """Says in one sentence what is wrong with this machine and what to do about it; shown without a
    traceback.
    """
