"""Images on their way to a model: opened safely, prepared once."""

import hashlib
import io
import warnings
from collections import OrderedDict
from threading import Lock

import torch
from PIL import Image

from mmedagent.errors import BadDataError

CACHE_BYTES = 256 * 2**20
"""Most bytes of prepared patches that one processor keeps."""

Prepared = tuple[torch.Tensor, torch.Tensor]
"""Patches, float32 [patches, channels * time * patch * patch], and their grid, int64 [3]."""


def open_image(data: bytes) -> Image.Image:
    """Decode an image as RGB; raises `BadDataError` for anything else than one whole image."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            image.load()
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        raise BadDataError(f"not an image that can be read: {error}") from error
    return image.convert("RGB")


def pixels_key(image: Image.Image) -> bytes:
    """Return a digest of what the image shows: equal pixels, equal key."""
    head = f"{image.mode} {image.size}".encode()
    return hashlib.sha256(head + image.tobytes()).digest()


class ImageCache:
    """Prepared images by their pixels' digest; the least recently used go first. Thread-safe."""

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[bytes, Prepared] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> Prepared | None:
        """Return what was kept under `key`, or None."""
        with self._lock:
            prepared = self._kept.get(key)
            if prepared is not None:
                self._kept.move_to_end(key)
            return prepared

    def put(self, key: bytes, prepared: Prepared) -> None:
        """Keep `prepared`, dropping the oldest until it fits; one larger than all is not kept."""
        size = prepared[0].nbytes
        if size > self._most_bytes:
            return
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = prepared
            self._bytes += size
            while self._bytes > self._most_bytes:
                _, old = self._kept.popitem(last=False)
                self._bytes -= old[0].nbytes

    def __deepcopy__(self, _memo: object) -> "ImageCache":
        # A copied processor (saving copies it) starts with nothing kept.
        return ImageCache(self._most_bytes)

    def __len__(self) -> int:
        return len(self._kept)
