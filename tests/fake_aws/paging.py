"""How answers are cut into pages: by botocore's paginators, and by the tokens of operations that have none."""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.utils import get_pagination_model

from tests.fake_aws.protocols import Call, operation_model
from tests.fake_aws.refusals import RefusedError, words_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """The members with which one operation pages."""

    token_in: str
    token_out: str
    more: str | None
    limit: str | None
    smallest: int | None
    largest: int | None
    lists: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """Which part of the whole answer one page is, and the token of the next."""

    start: int
    stop: int
    token: str | None


@functools.cache
def paging_of(service: str, operation: str) -> Paging | None:
    """How an operation pages; None where it always answers whole."""
    model = operation_model(service, operation)
    into: Mapping[str, Any] = model.input_shape.members if model.input_shape else {}
    out_of: Mapping[str, Any] = model.output_shape.members if model.output_shape else {}
    paginator = get_pagination_model(service).get(operation)
    if paginator is None:
        token = next((name for name in ("NextToken", "nextToken") if name in into and name in out_of), None)
        if token is None:
            return None
        limit = next((name for name in ("MaxResults", "maxResults") if name in into), None)
        paginator = {"input_token": token, "output_token": token, "limit_key": limit, "result_key": list(out_of)}
    keys = paginator["result_key"]
    limit = paginator.get("limit_key")
    bounds = into[limit].metadata if limit else {}
    return Paging(
        token_in=paginator["input_token"],
        token_out=paginator["output_token"],
        more=paginator.get("more_results"),
        limit=limit,
        smallest=bounds.get("min"),
        largest=bounds.get("max"),
        lists=tuple(
            key
            for key in ([keys] if isinstance(keys, str) else keys)
            if key in out_of and out_of[key].type_name == "list"
        ),
    )


def cut(call: Call, paging: Paging, whole: Mapping[str, Any], page_size: int | None, *, empty_pages: bool) -> Cut:
    """Which page a call asks for.

    Raises:
        RefusedError: its token or its limit is not one that AWS takes.
    """
    token = call.parameters.get(paging.token_in)
    start, is_empty = (0, empty_pages) if token is None else _read(token, call)
    total = max((len(whole.get(name, ())) for name in paging.lists), default=0)
    if is_empty:
        return Cut(start, start, _token(call.operation, start, is_empty=False))
    limits = [limit for limit in (_limit(call, paging), page_size) if limit is not None]
    stop = min([start + limit for limit in limits] + [total])
    return Cut(start, stop, _token(call.operation, stop, is_empty=empty_pages) if stop < total else None)


def page(paging: Paging, whole: Mapping[str, Any], part: Cut) -> dict[str, Any]:
    """One page of a whole answer."""
    lists = {name: whole[name][part.start : part.stop] for name in paging.lists if name in whole}
    tokens = {} if part.token is None else {paging.token_out: part.token}
    more = {} if paging.more is None else {paging.more: part.token is not None}
    rest = {name: value for name, value in whole.items() if name != paging.token_out}
    return {**rest, **lists, **tokens, **more}


def _limit(call: Call, paging: Paging) -> int | None:
    limit: int | None = call.parameters.get(paging.limit) if paging.limit else None
    if limit is not None and not (paging.smallest or 1) <= limit <= (paging.largest or limit):
        word = words_of(call.service).wrong_limit
        bounds = f"between {paging.smallest or 1} and {paging.largest}"
        raise RefusedError(
            word.code, f"Value ( {limit} ) for parameter {paging.limit} is invalid: {bounds}.", word.status
        )
    return limit


def _token(operation: str, start: int, *, is_empty: bool) -> str:
    return base64.urlsafe_b64encode(f"{operation}/{start}/{int(is_empty)}".encode()).decode()


def _read(token: str, call: Call) -> tuple[int, bool]:
    try:
        operation, start, is_empty = base64.urlsafe_b64decode(token).decode().split("/")
        if operation == call.operation:
            return int(start), is_empty == "1"
    except (binascii.Error, ValueError):
        pass
    word = words_of(call.service).wrong_token
    raise RefusedError(word.code, f"The token {token} is not one that {call.operation} gave out", word.status)
