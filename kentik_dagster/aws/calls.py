"""One read operation, all its pages, and what became of it; an error is never an empty list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jmespath
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from kentik_dagster.aws.sessions import error_code
from kentik_dagster.catalog.outcomes import DENIED_CODES, UNSUPPORTED_CODES, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one operation answered.

    Attributes:
        items: the resources, as AWS describes them; meaningful only where the outcome is OBSERVED.
        pages: pages that were answered before it ended.
    """

    outcome: Outcome
    items: list[dict[str, Any]]
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
) -> Answer:
    """Every row of an operation, over all its pages.

    Args:
        name: boto3 method of the client.
        rows: JMESPath of the rows in one page.
        page_size: sent with every page. boto3's paginators send no MaxResults without it, and AWS
            throttles or refuses such calls in large accounts (metadata.md §5). None: AWS's own.
    """
    started_at, pages = clock(), 0
    items: list[dict[str, Any]] = []
    try:
        if client.can_paginate(name):
            paging = {"PageSize": page_size} if page_size is not None else {}
            answers = client.get_paginator(name).paginate(**(parameters or {}), PaginationConfig=paging)
        else:
            answers = [getattr(client, name)(**(parameters or {}))]
        for answer in answers:
            items += jmespath.search(rows, answer) or []
            pages += 1
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        return Answer(
            outcome=outcome_of(error),
            items=[],
            pages=pages,
            started_at=started_at,
            ended_at=clock(),
            error_code=error_code(error),
            error_message=" ".join(str(error).split())[:1000],
        )
    return Answer(outcome=Outcome.OBSERVED, items=items, pages=pages, started_at=started_at, ended_at=clock())


def outcome_of(error: Exception) -> Outcome:
    """What an error says about the scope that was asked."""
    code = error_code(error)
    if code in DENIED_CODES:
        return Outcome.DENIED
    return Outcome.UNSUPPORTED if code in UNSUPPORTED_CODES else Outcome.UNAVAILABLE
