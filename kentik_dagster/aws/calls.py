"""One read operation, all its pages, and what became of it; an error is never an empty list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jmespath
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from kentik_dagster.aws.sessions import error_code
from kentik_dagster.catalog.outcomes import DENIED_CODES, UNSUPPORTED_CODES, Outcome, is_vanished
from kentik_dagster.errors import AwsError

MALFORMED = "MalformedAnswer"
WITHHELD = "RowsWithheld"
_TOKENS = ("NextToken", "nextToken")
_PAGE_SIZES = ("MaxResults", "maxResults")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one operation answered.

    Attributes:
        items: the resources, as AWS describes them. All of them where the outcome is OBSERVED; else what an
            operation that was asked several times learnt before or beside the failure, mostly nothing.
        pages: pages that were answered before it ended.
    """

    outcome: Outcome
    items: list[Any]
    pages: int
    started_at: datetime
    ended_at: datetime
    error_code: str | None = None
    error_message: str | None = None


def all_pages(
    client: Any,
    name: str,
    rows: str,
    *,
    clock: Callable[[], datetime],
    page_size: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    withheld: str | None = None,
    is_first_enough: bool = False,
) -> Answer:
    """Every row of an operation, over all its pages.

    Args:
        name: boto3 method of the client.
        rows: JMESPath of the rows in one page.
        page_size: sent with every page. boto3's paginators send no MaxResults without it, and AWS
            throttles or refuses such calls in large accounts (metadata.md §5). None: AWS's own.
        withheld: JMESPath that is true of a last page after which AWS kept rows back.
        is_first_enough: whether the first page is all that is asked for: the answer says whether the call is permitted.
    """
    started_at, pages = clock(), 0
    items: list[Any] = []

    def ended(outcome: Outcome, code: str | None = None, message: str | None = None) -> Answer:
        return Answer(
            outcome=outcome,
            items=items,
            pages=pages,
            started_at=started_at,
            ended_at=clock(),
            error_code=code,
            error_message=message,
        )

    page: Mapping[str, Any] = {}
    try:
        for page in _pages(client, name, page_size, parameters or {}):
            if not page.keys() - {"ResponseMetadata"}:
                # botocore reads a page of some proxy as an answer without members: that is not an empty list.
                raise TypeError(f"nothing of {name} is in the answer")
            found = jmespath.search(rows, page)
            if not isinstance(found, list | None):
                raise TypeError(f"{rows} is no list")
            items += found or []
            pages += 1
            if is_first_enough:
                return ended(Outcome.OBSERVED)
    except (ClientError, BotoCoreError, AwsError) as error:
        items = []
        code = error_code(error)
        if parameters and is_vanished(code):  # what it was asked of
            return ended(Outcome.OBSERVED)
        # Without a code of AWS's own, the message is the whole answer: a page of some proxy, or worse.
        text = f"AWS answered {name} with HTTP status {code}" if code.isdecimal() else str(error)
        text = text.encode(errors="replace").decode()  # JSON can say halves of a character, a table cannot hold them
        return ended(outcome_of(error), code, " ".join(text.split())[:1000])
    except (ResponseParserError, AttributeError, KeyError, TypeError, ValueError) as error:
        # What botocore's parsers raise where an answer is not as its model says. They quote the answer, which may
        # hold secrets: only their kind is told.
        items = []
        kind = type(error).__name__
        return ended(Outcome.UNAVAILABLE, MALFORMED, f"AWS's answer to {name} cannot be read ({kind})")
    if withheld is not None and jmespath.search(withheld, page):
        return ended(Outcome.UNAVAILABLE, WITHHELD, f"AWS has more rows of {name} than the {len(items)} that it gave")
    return ended(Outcome.OBSERVED)


def outcome_of(error: Exception) -> Outcome:
    """What an error says about the scope that was asked."""
    code = error_code(error)
    if code in DENIED_CODES:
        return Outcome.DENIED
    return Outcome.UNSUPPORTED if code in UNSUPPORTED_CODES else Outcome.UNAVAILABLE


def _pages(client: Any, name: str, page_size: int | None, parameters: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    if client.can_paginate(name):
        paging = {"PageSize": page_size} if page_size is not None else {}
        pages: Iterable[Mapping[str, Any]] = client.get_paginator(name).paginate(**parameters, PaginationConfig=paging)
        return pages
    return _pages_by_token(client, name, page_size, parameters)


def _pages_by_token(
    client: Any, name: str, page_size: int | None, parameters: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """The pages of an operation for which boto3 has no paginator although AWS may answer with a token."""
    taken = _members(client, name)
    size = {member: page_size for member in _PAGE_SIZES if member in taken and page_size is not None}
    token: dict[str, str] = {}
    while True:
        page = getattr(client, name)(**parameters, **size, **token)
        yield page
        following = {member: page[member] for member in _TOKENS if member in taken and page.get(member)}
        if not following:
            return
        if following == token:
            raise AwsError(f"AWS answered the same page of {name} twice", "PaginationError")
        token = following


def _members(client: Any, name: str) -> frozenset[str]:
    """The names of the parameters that an operation takes."""
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[name]).input_shape
    return frozenset(shape.members if shape is not None else ())
