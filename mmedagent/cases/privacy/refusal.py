"""The error that says: personal data was found where the recipe wants such cases left out."""

from mmedagent.errors import BadDataError


class RefusedForPrivacy(BadDataError):
    """A case with personal data that the recipe leaves out; the message never has the text."""
