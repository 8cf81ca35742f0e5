"""Who may do what, and where: changed by the API and by the command line through the same rules.

A change is made in the caller's transaction, and comes as an `Answer`: what is told, and what the
audit says of it. `by` is the caller, or None for the command line.
"""
