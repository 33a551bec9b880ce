"""What the TSV writer accepts comes back unchanged from the reader."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from biomedgpt_fairseq.data.tsv import TsvReader
from biomedgpt_fairseq.data.tsv_writer import FORBIDDEN, TsvWriter

# A byte order mark is dropped at the start of a file.
fields = st.text(
    st.characters(exclude_characters=[*FORBIDDEN, "\ufeff"], exclude_categories=["Cs"])
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(fields, fields), min_size=1, max_size=5))
def test_rows_come_back_unchanged(rows: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tsv"
        with TsvWriter(path, ("first", "second")) as writer:
            for row in rows:
                writer.write(row)

        assert [tuple(row) for row in TsvReader(str(path))] == rows
