"""What flow records mean in text and in Parquet alike: numbers, times, nulls, unknown fields, log types, tags.

Both readers bring a frame with one row per record and one column per field, named as AWS names it in LogFormat
(`account-id`), and get the rows of `flow_logs` back.
"""

from __future__ import annotations

from urllib.parse import unquote

import polars as pl

from kentik_dagster.catalog.flow_logs import FLOW_FIELDS, INSTANT, LARGEST_VALUE

FIELDS = {field.name: field for field in FLOW_FIELDS}
INSTANTS = frozenset(field.name for field in FLOW_FIELDS if field.type == INSTANT)
_WIDTHS = {"int32": pl.Int32, "int64": pl.Int64}
NUMBERS = {
    field.name: pl.Int64 if field.name in INSTANTS else _WIDTHS[str(field.type)]
    for field in FLOW_FIELDS
    if field.name in INSTANTS or str(field.type) in _WIDTHS
}
# AWS percent-encodes what is special in the values of tags; other fields are as they stand.
_TAGS = frozenset({"instance-tag", "instance-tag-2", "interface-tag", "interface-tag-2", "asg-tag", "asg-tag-2"})
# AWS writes a dash; rewritten files say None.
NULLS = ("-", "None")
# Later than 2038-01-19 in seconds: the value is in milliseconds, as rewritten files have it.
_LAST_SECOND = 2**31 - 1
_LAST_MILLISECOND = 4_102_444_800_000  # 2100-01-01
_PER_MILLISECOND = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_INSTANT = pl.Datetime("us", "UTC")


def without_dashes(text: pl.Expr) -> pl.Expr:
    """The text, null where the file says that there is no value."""
    return text.replace(NULLS, [None] * len(NULLS))


def largest(field: str) -> int:
    """The largest value that a number may have; the smallest is 0. Times may be seconds or milliseconds."""
    if field in INSTANTS:
        return _LAST_MILLISECOND
    widest = {pl.Int32: 2**31 - 1, pl.Int64: 2**63 - 1}[NUMBERS[field]]
    return LARGEST_VALUE.get(FIELDS[field].column, widest)


def out_of_range(field: str) -> pl.Expr:
    """Whether a number is less than 0 or too large; false where it is null."""
    return ((pl.col(field) < 0) | (pl.col(field) > largest(field))).fill_null(False)


def in_range(values: pl.Series) -> bool:
    """Whether no number of a field, after which the column is named, is out of range."""
    lowest, highest = values.min(), values.max()
    return lowest is None or (int(str(lowest)) >= 0 and int(str(highest)) <= largest(values.name))


def read_values(raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """The numbers and times of records, and what is wrong with each record.

    Args:
        raw: one column per field. Numbers may be text, whole numbers of any width, or floats; times may also be
            Datetime of any unit with the time zone UTC. Null: the record has no value.

    Returns:
        The same columns, numbers and times as whole numbers (Datetime in µs where they were Datetime), null where
        the value is none; and why a record cannot be taken: the first wrong field with its value, null if none is.
    """
    raw = raw.rechunk()  # see as_text
    numbers = [name for name in raw.columns if name in NUMBERS]
    parsed = raw.with_columns(_number(raw[name]) for name in numbers)
    reasons = [
        pl.when(parsed[name].is_null() & raw[name].is_not_null())
        .then(
            pl.format("{} is '{}': not {}", pl.lit(name), as_text(raw[name]), pl.lit(_expected(name, raw[name].dtype)))
        )
        .alias(name)
        for name in numbers
    ]
    reason = raw.select(pl.coalesce(pl.repeat(None, pl.len(), dtype=pl.String), *reasons).alias("reason"))
    return parsed, reason["reason"]


def as_text(values: pl.Series) -> pl.Series:
    """Values as a message shows them: as they stand, times in ISO 8601 where there is a year for them."""
    if not isinstance(values.dtype, pl.Datetime):
        return values.cast(pl.String)
    unit = str(values.dtype.time_unit)
    # In one chunk: Polars 2.1 panics where it formats a Series whose first chunk is empty.
    count = values.rechunk().to_physical()
    is_near = count.is_between(0, _LAST_MILLISECOND * _PER_MILLISECOND[unit])
    iso = pl.when(is_near).then(count).cast(values.dtype).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
    return pl.select(pl.when(is_near).then(iso).otherwise(pl.format(f"{{}} {unit} after 1970", count))).to_series()


def _expected(field: str, dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return "a time from 1970 to 2100 in whole microseconds"
    return f"a whole number from 0 to {largest(field)}"


def _number(values: pl.Series) -> pl.Series:
    """The values as the field's numbers, null where they are none or out of range."""
    name, dtype = values.name, values.dtype
    if isinstance(dtype, pl.Datetime):
        unit = str(dtype.time_unit)
        count = pl.col(name).to_physical()
        is_near = count.is_between(0, _LAST_MILLISECOND * _PER_MILLISECOND[unit])
        microseconds = count * 1_000 if unit == "ms" else count // (_PER_MILLISECOND[unit] // 1_000)
        is_exact = count % 1_000 == 0 if unit == "ns" else pl.lit(True)
        return values.to_frame().select(pl.when(is_near & is_exact).then(microseconds).cast(_INSTANT)).to_series()
    if dtype.is_float():
        # Polars holds NaN to be equal to itself, and greater than any number.
        is_whole = (pl.col(name).floor() == pl.col(name)) & pl.col(name).is_between(0, float(largest(name)))
        values = values.to_frame().select(pl.when(is_whole).then(name)).to_series()
    numbers = values.cast(NUMBERS[name], strict=False).to_frame()
    return numbers.select(pl.when(~out_of_range(name)).then(name)).to_series()


def flow_rows(records: pl.DataFrame) -> pl.DataFrame:
    """Rows of `flow_logs` from records whose numbers are read.

    Returns:
        One row per record: a column for each known field under its Parquet name, times as instants, tags decoded;
        `extra_fields` (map of text) if there are others, keyed by their names; `log_type`.
    """
    fields = records.columns
    records = records.with_columns(_decoded(records[name]) for name in fields if name in _TAGS)
    known = [name for name in fields if name in FIELDS]
    columns = [
        (_instant(records[name]) if name in INSTANTS else records[name]).alias(FIELDS[name].column) for name in known
    ]
    unknown = [name for name in fields if name not in FIELDS]
    extra: list[pl.Expr] = []
    if unknown:
        pairs = pl.concat_list(
            pl.struct(pl.lit(name).alias("key"), records[name].alias("value")) for name in unknown
        ).list.filter(pl.element().struct.field("value").is_not_null())
        extra.append(pairs.cast(pl.Map(pl.String, pl.String)).alias("extra_fields"))
    return records.select(*columns, *extra, _log_type(fields).alias("log_type"))


def _instant(values: pl.Series) -> pl.Series:
    if isinstance(values.dtype, pl.Datetime):
        return values
    if int(str(values.max() or 0)) <= _LAST_SECOND:
        return (values * 1_000_000).cast(_INSTANT)
    milliseconds = pl.when(values > _LAST_SECOND).then(values * 1_000).otherwise(values * 1_000_000)
    return pl.select(milliseconds).to_series().cast(_INSTANT)


def _log_type(fields: list[str]) -> pl.Expr:
    """Which family a record belongs to.

    The fields say it, unless a rewritten file has those of both families: then a record that only has values of a
    VPC's fields is a VPC's.
    """
    named = [name for name in fields if name.startswith("tgw-")]
    lost = [name for name in fields if name in FIELDS and FIELDS[name].vpc is None and name != "resource-type"]
    of_gateways = [pl.col(name).is_not_null() for name in dict.fromkeys((*named, *lost))]
    if "resource-type" in fields:
        of_gateways.append(pl.col("resource-type").eq_missing("TransitGateway"))
    of_vpcs = [pl.col(name).is_not_null() for name in fields if name in FIELDS and FIELDS[name].tgw is None]
    if not named and "resource-type" not in fields:
        return pl.lit("vpc")
    if not named:
        is_gateway = of_gateways[-1]
    elif of_vpcs:
        is_gateway = pl.any_horizontal(of_gateways) | ~pl.any_horizontal(of_vpcs)
    else:
        is_gateway = pl.lit(True)
    return pl.when(is_gateway).then(pl.lit("transit_gateway")).otherwise(pl.lit("vpc"))


def _decoded(tags: pl.Series) -> pl.Series:
    """Values of a tag without percent signs; those that are no UTF-8 stay as they are.

    The loop is over distinct values, of which a tag has few.
    """
    encoded = tags.unique().drop_nulls()
    encoded = encoded.filter(encoded.str.contains("%", literal=True))
    return tags.replace(encoded, pl.Series([_unquoted(value) for value in encoded], dtype=pl.String))


def _unquoted(value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        return value
