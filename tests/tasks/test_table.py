"""Tables from CSV files: what is read, and what is refused with the place it stands at."""

import numpy as np
import pytest

from elsa import tasks
from tests.helpers import table


def written(folder, content):
    path = folder / "sizes.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_a_file_becomes_covariates_and_labels_in_the_order_of_its_columns(tmp_path):
    path = written(tmp_path, "\ufeffage, leg length ,weight\r\n1,2,3\r\n\r\n4,5e-1,6\r\n")
    table = tasks.read_csv(path, "weight")
    np.testing.assert_array_equal(table.x, [[1.0, 2.0], [4.0, 0.5]])
    np.testing.assert_array_equal(table.y, [3.0, 6.0])
    assert (table.columns, table.target) == (("age", "leg length"), "weight")
    assert table.name == "sizes"


@table(
    "content, error, message",
    [
        ("größe,y\n1,2\n".encode("latin-1"), ValueError, r"must be UTF-8, got the byte 0xf6 at"),
        ("a,a,y\n1,2,3\n", ValueError, "column names must differ, got 'a' twice"),
        ("a,weight\n1,2\n", KeyError, "target must be a column"),
        ("y\n1\n", ValueError, "a covariate beside the target and at least one row"),
        ("a,y\n", ValueError, r"got columns \['a', 'y'\] and 0 rows"),
        ("", KeyError, r"target must be a column of .*: \[\], got 'y'"),
        ("a,y\n1,2\n1\n", ValueError, r"line 3: expected 2 entries, got 1"),
        ("a,y\n1,2\nx,2\n", ValueError, r"line 3, column 'a': expected a finite number, got 'x'"),
        ("a,y\n1,inf\n", ValueError, r"line 2, column 'y': expected a finite number, got 'inf'"),
        ("a,y\n,1\n", ValueError, r"line 2, column 'a': expected a finite number, got ''"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, content, error, message):
    path = written(tmp_path, content)
    with pytest.raises(error, match=message) as refused:
        tasks.read_csv(path, "y")
    assert path in str(refused.value)


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"path must be a CSV file, got 'no\.csv'"):
        tasks.read_csv("no.csv", "y")


def test_a_column_that_is_constant_cannot_be_scaled(tmp_path):
    table = tasks.read_csv(written(tmp_path, "a,b,y\n1,7,3\n2,7,4\n"), "y")
    with pytest.raises(ValueError, match="'b'"):
        tasks.standardised(table)
