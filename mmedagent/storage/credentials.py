"""Credentials of a store: read from a named file, or left to boto3's own search."""

import configparser
from typing import Any

import boto3

from mmedagent.errors import StorageError
from mmedagent.recipes.storage import StorageConfig


def session_for(config: StorageConfig) -> Any:
    """Return a boto3 session with the credentials that `config` names.

    A named file wins over AWS's variables, so that a developer's own account is never used for
    the local store by accident. Raises `StorageError` when the file is missing or has no key.
    """
    if config.credentials is None:
        return boto3.session.Session()
    parser = configparser.ConfigParser()
    try:
        parser.read_string(config.credentials.read_text())
        section = parser["default"]
        return boto3.session.Session(
            aws_access_key_id=section["aws_access_key_id"],
            aws_secret_access_key=section["aws_secret_access_key"],
            aws_session_token=section.get("aws_session_token"),
        )
    except OSError as error:
        raise StorageError(
            f"cannot read the store's credentials {config.credentials}: {error.strerror}"
        ) from error
    except (configparser.Error, KeyError) as error:
        raise StorageError(
            f"{config.credentials} is no AWS credentials file with a [default] profile that has "
            f"aws_access_key_id and aws_secret_access_key: {error}"
        ) from error
