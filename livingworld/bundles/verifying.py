"""Verifying a bundle without a database."""

from __future__ import annotations

from livingworld.bundles.contents import parts
from livingworld.bundles.files import BundleFile, named_failures, opened_to_read
from livingworld.bundles.reading import BundleReader, refuse_missing_tables, refuse_other_columns
from livingworld.bundles.records import Bundle, BundleProgress, Report, ignore
from livingworld.bundles.references import References
from livingworld.errors import BundleDamaged
from livingworld.inputs import check_function


def verify_bundle(file: BundleFile, *, progress: Report = ignore) -> Bundle:
    """Read a bundle to its end, without a database, and return what is in it; blocks, for a large one in a thread.

    Raises BundleDamaged for the first line whose digest, form, count or reference is wrong, BundleOfOtherSchema where
    its tables are not those of this release, BundleFileFailed.
    """
    check_function("progress", progress)
    with opened_to_read(file) as opened, named_failures():
        reader = BundleReader(opened)
        known = parts(reader.header)
        with References(known) as references:
            rows = 0
            for batch in reader.batches():
                refuse_other_columns(known, batch)
                references.add(batch)
                rows += len(batch.rows)
                progress(BundleProgress(table=batch.table, rows=rows, bytes=reader.bytes))
            refuse_missing_tables(known, reader)
            _refuse_missing(references)
        return reader.bundle()


def _refuse_missing(references: References) -> None:
    if (found := references.missing()) is not None:
        line, table, other = found
        place = f"line {line}, table {table}"
        message = f"The bundle is damaged: {place}: it refers to a row of {other} that is not there."
        raise BundleDamaged(message, line=line, table=table)
