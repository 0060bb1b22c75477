"""The content of log objects, in parts: memory holds a part of an object, however large the object is.

An object is read only if it still is the content that was listed: content that was put under the key since has an
ETag, and so a name, of its own; read under the old name it would count twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from isal import igzip_lib
from urllib3.exceptions import HTTPError

from kentik_dagster.aws.sessions import error_code
from kentik_dagster.errors import UnreadableObjectError

# Of text; measured with 1.3 GB of it: larger parts cost memory and save no time.
PART_BYTES = 2 * 1024 * 1024
# AWS begins a new file at 75 MB. Four are read at a time.
LARGEST_WHOLE_BYTES = 256 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
# A line of a log is hundreds of bytes, an event of a firewall some thousands.
_LONGEST_LINE_BYTES = 32 * PART_BYTES
# Files full of NODATA are dense, and harmless as long as they are small.
_ALWAYS_READ_BYTES = 64 * 1024 * 1024
# How often one object's transfer is taken up again where it broke off; requests have retries of their own.
_RESUMPTIONS = 4
# Zeros may follow the last member of a gzip file; anything else is another member.
_PADDING = b"\0"
# isal's stubs say that its error is an instance.
_IsalError = cast("type[Exception]", igzip_lib.IsalError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far an object may expand before it counts as a decompression bomb.

    Attributes:
        largest_bytes: uncompressed bytes.
        largest_expansion: uncompressed bytes for each stored byte; what expands to less than 64 MB may be denser.
    """

    largest_bytes: int
    largest_expansion: int

    def check_stored(self, stored: int) -> None:
        """Refuse an object that has to be held whole, and is too large for it.

        Raises:
            UnreadableObjectError: it is.
        """
        if stored > LARGEST_WHOLE_BYTES:
            raise UnreadableObjectError(
                f"the object has {stored:,} bytes, and Parquet files are read up to {LARGEST_WHOLE_BYTES:,}: AWS "
                "writes none larger than 75 MB; write it as several files"
            )

    def check(self, expanded: int, stored: int) -> None:
        """Refuse an object that has expanded too far.

        Raises:
            UnreadableObjectError: it has; the message names the key of the configuration.
        """
        if expanded > self.largest_bytes:
            raise UnreadableObjectError(
                f"the object expands to more than {self.largest_bytes:,} bytes: if it is a log, set "
                "largest_object_bytes of the export higher"
            )
        if expanded > max(_ALWAYS_READ_BYTES, stored * self.largest_expansion):
            raise UnreadableObjectError(
                f"the object expands to more than {self.largest_expansion} times its size: if it is a log, set "
                "largest_expansion of the export higher"
            )


def stored_chunks(client: Any, bucket: str, key: str, etag: str) -> Iterator[bytes]:
    """The bytes of an object as they are stored; a transfer that breaks off goes on where it was.

    Raises:
        UnreadableObjectError: it is gone, overwritten, refused, archived, or S3 does not answer.
    """
    read = size = 0
    for attempt in range(_RESUMPTIONS + 1):
        if read and read == size:
            return  # it broke off behind the last byte
        try:
            position = {"Range": f"bytes={read}-"} if read else {}
            answer = client.get_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"', **position)
            size = read + int(answer["ContentLength"])
            for chunk in answer["Body"].iter_chunks(_CHUNK_BYTES):
                read += len(chunk)
                yield chunk
        except ClientError as error:
            raise UnreadableObjectError(_refusal(error)) from error
        except (BotoCoreError, HTTPError, OSError) as error:  # botocore translates not all that urllib3 raises
            if attempt == _RESUMPTIONS:
                raise UnreadableObjectError(
                    f"S3 did not give the whole object: {error}. It is tried again; check the network if this stays."
                ) from error
        else:
            return


def text_parts(chunks: Iterable[bytes], bounds: Bounds) -> Iterator[bytes]:
    """The uncompressed text of a gzip object, in parts that end with a line; one or more members, joined.

    A part is given only once the next one has begun or the end was seen to be sound, so an object of one part is
    known to be whole before anything of it is read.

    Raises:
        UnreadableObjectError: it is no whole gzip, or expands beyond the bounds.
    """
    ready: bytes | None = None
    waiting = bytearray()
    for text in _gunzipped(chunks, bounds):
        end = text.rfind(b"\n") + 1
        if len(waiting) + end >= PART_BYTES and end:
            if ready is not None:
                yield ready
            ready = b"".join((waiting, memoryview(text)[:end]))
            waiting = bytearray(text[end:])
        else:
            waiting += text
            if len(waiting) > _LONGEST_LINE_BYTES and not end:
                raise UnreadableObjectError(f"a line is longer than {_LONGEST_LINE_BYTES:,} bytes: this is no log")
    if ready is not None:
        yield ready
    if waiting:
        yield bytes(waiting)


def _gunzipped(chunks: Iterable[bytes], bounds: Bounds) -> Iterator[bytes]:
    """The uncompressed bytes, a part's length at a time at the most; nothing for an object of 0 bytes."""
    member: Any = None
    stored = expanded = 0
    for chunk in chunks:
        stored += len(chunk)
        if member is None and expanded:
            chunk = chunk.lstrip(_PADDING)
        while chunk or (member is not None and not member.needs_input):
            if member is None:
                member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
            try:
                text = member.decompress(chunk, max_length=PART_BYTES)
            except _IsalError as error:
                raise UnreadableObjectError(f"the object is not whole gzip: {error}") from error
            chunk = b""
            expanded += len(text)
            bounds.check(expanded, stored)
            if text:
                yield text
            if member.eof:
                chunk, member = member.unused_data.lstrip(_PADDING), None
    if member is not None:
        raise UnreadableObjectError("the object is not whole gzip: it ends in the middle")


def _refusal(error: ClientError) -> str:
    code = error_code(error)
    message = error.response.get("Error", {}).get("Message", "")
    reasons = {
        "PreconditionFailed": "the object was overwritten between listing and reading",
        "NoSuchKey": "the object vanished between listing and reading",
        "InvalidObjectState": "the object is archived: restore it, and keep log objects out of archive classes",
        "AccessDenied": "S3 refuses the object: grant s3:GetObject on it, and kms:Decrypt if it is encrypted with KMS",
    }
    if code.startswith("KMS."):
        reason = "its KMS key cannot be used: enable the key, and grant kms:Decrypt on it"
    elif code == "InvalidRequest" and "ncryption" in message:
        reason = (
            "it is encrypted with a key that only its writer has (SSE-C): let AWS write logs with SSE-S3 or SSE-KMS"
        )
    else:
        reason = reasons.get(code, "S3 did not give the object")
    return f"{reason} ({code}: {message})"
