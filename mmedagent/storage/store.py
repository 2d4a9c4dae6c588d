"""The one S3 client (boto3): checksummed transfers, and errors that say what to do.

Every object that `ObjectStore` writes carries its sha256 as metadata; every read is verified
against it, or against the digest that the caller expects.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mmedagent.digests import digest_bytes, digest_file
from mmedagent.errors import StorageError
from mmedagent.recipes.storage import StorageConfig
from mmedagent.storage.credentials import session_for
from mmedagent.storage.failures import explained

_BLOCK = 2**20
_SHA256 = "sha256"


@dataclass(frozen=True)
class ObjectInfo:
    """What the store knows of an object without sending it."""

    key: str
    size: int
    """Bytes."""
    sha256: str | None
    """As written by `ObjectStore`; None for objects that others (DVC) wrote."""


class ObjectStore:
    """One bucket of an S3 store.

    Safe to use from several processes at once; every method raises `StorageError` with one clear
    message: the store is down, the secret is wrong, the bucket or the object is missing, an object
    is corrupt, the disk is full.
    """

    def __init__(self, config: StorageConfig) -> None:
        """Make a client; nothing is asked of the store yet."""
        self.config = config
        self._client: Any = session_for(config).client(
            "s3",
            endpoint_url=config.endpoint,
            region_name=config.region,
            config=Config(
                s3={"addressing_style": "path"} if config.endpoint else {},
                retries={"total_max_attempts": config.attempts, "mode": "standard"},
                connect_timeout=config.timeout_seconds,
                read_timeout=config.read_seconds,
                proxies={} if _loopback(config.endpoint) else None,
            ),
        )

    def ensure_bucket(self) -> None:
        """Make the bucket if it does not exist; for the local store and tests."""
        with explained(self.config, ""):
            try:
                self._client.head_bucket(Bucket=self.config.bucket)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise
                self._client.create_bucket(Bucket=self.config.bucket)

    def check(self) -> None:
        """Ask for the bucket: fails unless the store answers and the credentials are right."""
        with explained(self.config, ""):
            self._client.head_bucket(Bucket=self.config.bucket)

    def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of `key`, or None when there is no such object."""
        with explained(self.config, key):
            try:
                found = self._client.head_object(Bucket=self.config.bucket, Key=key)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    self.check()  # a missing bucket is an error, not a missing object
                    return None
                raise
        return ObjectInfo(key, int(found["ContentLength"]), found["Metadata"].get(_SHA256))

    def exists(self, key: str) -> bool:
        """Tell whether `key` is there."""
        return self.head(key) is not None

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield (key, bytes) of every object under `prefix`, in key order."""
        with explained(self.config, prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.config.bucket, Prefix=prefix
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield entry["Key"], int(entry["Size"])

    def put_file(self, path: Path, key: str) -> str:
        """Upload a file, in parts when it is large, and return its sha256.

        The store checks each part against a checksum sent with it; a reader sees the object only
        when it is whole.
        """
        sha256 = digest_file(path)
        size = path.stat().st_size
        with explained(self.config, key):
            if size > self.config.part_bytes:
                self._put_parts(path, key, sha256)
            else:
                with path.open("rb") as file:
                    self._client.put_object(
                        Bucket=self.config.bucket,
                        Key=key,
                        Body=file,
                        ChecksumAlgorithm="SHA256",
                        Metadata={_SHA256: sha256},
                    )
        return sha256

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write `data` unless `key` exists (`If-None-Match: *`); tell whether this call wrote it.

        Of several writers at the same time exactly one gets True.
        """
        with explained(self.config, key):
            try:
                self._client.put_object(
                    Bucket=self.config.bucket,
                    Key=key,
                    Body=data,
                    IfNoneMatch="*",
                    ChecksumAlgorithm="SHA256",
                    Metadata={_SHA256: digest_bytes(data)},
                )
            except ClientError as error:
                # 412: it is there. 409: another writer is at it at this moment (S3 reference,
                # PutObject, 'If-None-Match').
                if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
                    return False
                raise
        return True

    def get_bytes(self, key: str, sha256: str | None = None, md5: str | None = None) -> bytes:
        """Return a small object, verified as `get_file` does."""
        return b"".join(self._verified(key, sha256, md5))

    def get_file(
        self, key: str, path: Path, sha256: str | None = None, md5: str | None = None
    ) -> None:
        """Download to `path`, whole and verified or not at all.

        Verified against `sha256` or `md5` when given, else against the sha256 in the object's
        metadata; an object with neither is refused.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
        try:
            with explained(self.config, key), aside.open("wb") as file:
                for block in self._verified(key, sha256, md5):
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        """Remove an object; removing what is not there is no error (as S3 has it)."""
        with explained(self.config, key):
            self._client.delete_object(Bucket=self.config.bucket, Key=key)

    def _verified(self, key: str, sha256: str | None, md5: str | None) -> Iterator[bytes]:
        with explained(self.config, key):
            answer = self._client.get_object(Bucket=self.config.bucket, Key=key)
            expected = md5 or sha256 or answer["Metadata"].get(_SHA256)
            if expected is None:
                raise StorageError(f"{key} carries no digest to verify it by: refused")
            running = hashlib.md5(usedforsecurity=False) if md5 else hashlib.sha256()
            for block in answer["Body"].iter_chunks(_BLOCK):
                running.update(block)
                yield block
        if running.hexdigest() != expected:
            raise StorageError(
                f"corrupt object {key} in {self.config.bucket}: its {running.name} is "
                f"{running.hexdigest()}, expected {expected}; upload it again (`dvc push` for data)"
            )

    def _put_parts(self, path: Path, key: str, sha256: str) -> None:
        where = {"Bucket": self.config.bucket, "Key": key}
        upload = self._client.create_multipart_upload(
            **where, ChecksumAlgorithm="SHA256", Metadata={_SHA256: sha256}
        )["UploadId"]
        try:
            parts: list[dict[str, Any]] = []
            with path.open("rb") as file:
                while block := file.read(self.config.part_bytes):
                    number = len(parts) + 1
                    sent = self._client.upload_part(
                        **where,
                        UploadId=upload,
                        PartNumber=number,
                        Body=block,
                        ChecksumAlgorithm="SHA256",
                    )
                    parts.append({"PartNumber": number, "ETag": sent["ETag"]})
                    if "ChecksumSHA256" in sent:
                        parts[-1]["ChecksumSHA256"] = sent["ChecksumSHA256"]
            self._client.complete_multipart_upload(
                **where, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except BaseException:
            # The first failure is the one to report.
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**where, UploadId=upload)
            raise


def open_store() -> ObjectStore:
    """Return the store that the environment names; what a step calls."""
    return ObjectStore(StorageConfig.from_environment())


def _loopback(endpoint: str | None) -> bool:
    return bool(endpoint) and any(
        f"//{host}:" in str(endpoint) for host in ("127.0.0.1", "localhost", "[::1]")
    )
