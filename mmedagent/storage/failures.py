"""What boto3's and the disk's errors mean, in one sentence each."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from mmedagent.errors import StorageError
from mmedagent.recipes.storage import StorageConfig

_CODES = {
    "SignatureDoesNotMatch": "the secret key is wrong",
    "InvalidAccessKeyId": "the access key is unknown there",
    "AccessDenied": "access denied: the credentials may not do this",
    "NoSuchBucket": "the bucket does not exist",
    "NoSuchKey": "no such object",
    "BadDigest": "the data arrived corrupted and was refused; try again",
    "XAmzContentChecksumMismatch": "the data arrived corrupted and was refused; try again",
    "InternalError": "the store failed inside: its disk may be full, its log tells",
    "SlowDown": "the store asks to slow down; try again later",
    "ExpiredToken": "the session token has expired",
}
_STATUS = {
    403: "access denied: wrong access or secret key, or no right to do this",
    404: "not found: no such bucket or object",
    507: "the store's disk is full",
}


@contextmanager
def explained(config: StorageConfig, key: str) -> Iterator[None]:
    """Turn what boto3, the network and the disk raise within into one `StorageError`."""
    place = f"{config.endpoint or 'Amazon S3'}/{config.bucket}" + (f"/{key}" if key else "")
    try:
        yield
    except ClientError as error:
        raise StorageError(f"{place}: {_meaning(error)}") from error
    except NoCredentialsError as error:
        raise StorageError(
            f"{place}: no credentials; set AWS_SHARED_CREDENTIALS_FILE to a credentials file"
        ) from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise StorageError(
            f"{place}: the object store does not answer ({_first_line(error)}); is it running? "
            "`mmedagent store status` tells for the local one, `mmedagent store start` starts it"
        ) from error
    except BotoCoreError as error:
        raise StorageError(f"{place}: {_first_line(error)}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"the disk is full: {error.filename or place} was not written, nothing "
                "half-written was kept; make room and run the same command again"
            ) from error
        raise StorageError(f"{place}: {error}") from error


def _meaning(error: ClientError) -> str:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    known = _CODES.get(code) or _STATUS.get(status)
    return f"{known} ({code})" if known else f"the store refused ({code}): {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
