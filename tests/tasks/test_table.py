"""Tables from CSV files: what is read, and what is refused with the place it stands at."""

import dataclasses

import numpy as np
import pytest

from elsa import tasks
from tests.helpers import table
from tests.tasks.helpers import written


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
        ("", ValueError, "is empty; its first line must name the columns, the next lines are rows"),
        ("\ufeff \n\r\n", ValueError, "is empty"),
        # the header
        ("1.5,2\n3,4\n", KeyError, r"\['1.5', '2'\], got 'y'; the first line must name the"),
        ("a-y\n1-2\n", KeyError, r"columns are separated by a comma, .* what separator \(data\."),
        (",".join(f"c{i}" for i in range(99)), KeyError, r"'c19', .. 79 more\], got"),
        ("a,b;c\n1,2;3\n", ValueError, "may be separated by ',' or ';'; say which by separator"),
        (",a,y\n0,1,2\n", ValueError, r"column 1 .* has no name, as the index that pandas saves"),
        (";a;y\n0;1;2\n", ValueError, r"column 1 .* has no name, as the index that pandas saves"),
        ("Unnamed: 0,a,y\n0,1,2\n", ValueError, "is named 'Unnamed: 0', .* to keep it as a covar"),
        ("a,,y\n0,1,2\n", ValueError, "column 2 of .* has no name; delete it, or name it in the"),
        ("a,b,a,y\n1,2,3,4\n", ValueError, "'a' twice in .*, as columns 1 and 3; rename one"),
        # lines
        ("a,y\nu,1,2\nv,3,4\n", ValueError, "line 2: .* 2 entries, got 3; every row has one entry"),
        ("a,y\n1,2,\n3,4,5\n", ValueError, r"line 2: expected 2 entries, got 3"),
        ("a;b;y\n1;2\n1;2;3\n", ValueError, r"line 2: expected 3 entries, got 2$"),
        (
            "a;b;y\n1,2,3\n",
            ValueError,
            r"got 1; the header is separated by ';', this row .* ',': o",
        ),
        ("a,b,y\n1\t2\t3\n", ValueError, r"got 1; the header is separated by ',', .* by 'tab': o"),
        ("a;b;y\n1,2,3\n4;5\n", ValueError, r"line 2: expected 3 entries, got 1; the header is"),
        ('a,y\n"1,2\n3,4\n', ValueError, "line 3: unexpected end of data; a quoted entry must end"),
        ('a,y\n"1"2,3\n', ValueError, "line 2: ',' expected after '\"'; a quoted entry must end"),
        # no text
        (b"PK\x03\x04..", ValueError, "is an Excel or zip file and no text; save the table as CSV"),
        (b"PAR1..", ValueError, "is a Parquet file and no text"),
        ("a,y\n1,2\n".encode("utf-16-le"), ValueError, "holds NUL bytes: it is no text, or UTF-16"),
        (b"\xff\xfea\x00,", ValueError, "must be UTF-16, got the byte 0x2c"),
        # entries
        ("a,y\n1_0,2\n", ValueError, "'a': expected a finite number, got '1_0'; write digits with"),
        ("a,y\n１,2\n", ValueError, "got '１'; write it with ASCII digits and signs, 1$"),
        ("a,y\n−1.5,2\n", ValueError, "write it with ASCII digits and signs, -1.5$"),
        ("a,y\n1e400,2\n", ValueError, "float64 holds sizes from 4.9e-324 to 1.8e308; scale the"),
        ("a,y\n-1e-400,2\n", ValueError, "got '-1e-400'; float64 holds sizes"),
        (f"a,y\n{'9' * 400},2\n", ValueError, "got '9{40}'..; float64 holds"),
        (
            'a,y\n"1,234",5\n',
            ValueError,
            r"write thousands without a separator; decimal=',' \(data",
        ),
        (
            "a;y\n1,234;2,345\n",
            ValueError,
            "line 2, column 'a': .* write thousands without a separ",
        ),
        ("a;y\n1.234,5;2\n", ValueError, "got '1.234,5'; write thousands without a separator$"),
        # the comma is the decimal mark there: what is wrong are the points
        (
            "a;b;y\n1,5;1.234;2\n2;1.234,5;3\n",
            ValueError,
            "2, column 'b': .*'1.234'; write thou.*r$",
        ),
        (
            "a;b;y\n1,5;1.234,5;2\n2;1.5;3\n",
            ValueError,
            "2, column 'b': .*'1.234,5'; write thou.*r$",
        ),
        (
            "a;b;y\n1,5;1.5;2\n2;1.234,5;3\n",
            ValueError,
            "'b': .*'1.5'; write all fractions with ','$",
        ),
        (
            'a,y\n"1,5",5\n',
            ValueError,
            r"got '1,5'; decimal=',' \(data.decimal in a config\) reads",
        ),
        ("a,y\n2020-01-02,1\n", ValueError, "make dates and times numbers first, such as days"),
        ("a,y\n2.1.2020,1\n", ValueError, "make dates and times numbers first"),
        ("a,y\n2020-01-02T03:04:05Z,1\n", ValueError, "make dates and times numbers first"),
        ("a,y\nTrue,1\nFalse,2\n", ValueError, "got 'True'; write 1 and 0 for yes and no"),
        ("a,y\n5 kg,1\n", ValueError, "got '5 kg'; write the number alone, without its unit"),
        ("a,y\n$5,1\n", ValueError, "without its unit"),
        (
            "a,y\n1,2\n,3\nNA,4\n",
            ValueError,
            "line 3, .*; fill or drop missing entries first, 2 of",
        ),
        ("a,y\n1,2\n2,3\nx,4\n", ValueError, "mend or drop such entries, 1 of 3 in this column"),
        (
            "sex,y\nf,1\nm,2\nf,3\n",
            ValueError,
            r"'sex': .*, got 'f'; encode categories as numbers, a column of 0 and 1 for each "
            r"of 'f', 'm': pandas.get_dummies\(table, columns=\['sex'\], dtype=float\), or polars' "
            r"to_dummies\('sex'\); or leave the column out, by drop=\('sex',\) \(data.drop",
        ),
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


@table(
    "content, x, y",
    [
        ("a;b;y\n1;2;3\n4;5;7\n", [[1, 2], [4, 5]], [3, 7]),
        ("a;b;y\r\n1,5;-2,5;3\r\n4;,5;7,25e1\r\n", [[1.5, -2.5], [4, 0.5]], [3, 72.5]),
        ("a;b;y\n1.5;2;3\n", [[1.5, 2]], [3]),
        ("Länge, cm;b, s;y\n1,5;2,5;3\n4;5;7,25\n", [[1.5, 2.5], [4, 5]], [3, 7.25]),
        ("a;y\n1,234;0,345\n", [[1.234]], [0.345]),  # no thousand begins with 0
        ("a\tb\ty\n1.5\t2\t3\n", [[1.5, 2]], [3]),
        ("a\ty\n1,5\t2\n", [[1.5]], [2]),
        ("a|y\n1.5|2\n", [[1.5]], [2]),
        ("sep=;\na;y\n1,5;2\n", [[1.5]], [2]),  # a line that Excel writes
        ('"sep=;"\na;y\n1,5;2\n', [[1.5]], [2]),
        ("a,y\r1,2\r3,4\r", [[1], [3]], [2, 4]),
        ("a,y,\n1,2,\n3,4,\n", [[1], [3]], [2, 4]),  # separators at the ends of all lines
        ("a;y;\n1,5;2\n", [[1.5]], [2]),
        ("a,y\n1,2,\n3,4,\n", [[1], [3]], [2, 4]),
        ('\n\n"a", "y"\n"1","2"\n , \n', [[1]], [2]),
        ('"a\nb",y\n1,2\n', [[1]], [2]),
        ("a,y\n0e-400,0.000\n+5.,.5E+1\n", [[0], [5]], [0, 5]),
        ("a,y\n1,2\n".encode("utf-16"), [[1]], [2]),
        ("größe\ty\n1,5\t2\n".encode("utf-16"), [[1.5]], [2]),  # Unicode text, to Excel
        (b"\xfe\xff" + "a,y\n1,2\n".encode("utf-16-be"), [[1]], [2]),
        ("a,y\n1,2\n".encode("utf-32"), [[1]], [2]),
    ],
)
def test_what_separates_columns_and_fractions_is_found_out(tmp_path, content, x, y):
    found = tasks.read_csv(written(tmp_path, content), "y")
    assert (found.x.tolist(), found.y.tolist()) == (x, y)


def test_a_wide_table_has_one_separator_too(tmp_path):
    names = ";".join(
        f"column_{index}" for index in range(20_000)
    )  # a line longer than csv's entries
    found = tasks.read_csv(written(tmp_path, f"{names};y\n{'1,5;' * 20_000}2\n"), "y")
    assert found.x.shape == (1, 20_000) and (found.x == 1.5).all()


@table(
    "content, options, x",
    [
        ("a y\n1.5   2\n", {"separator": " "}, [[1.5]]),
        ("a:y\n1,5:2\n", {"separator": ":"}, [[1.5]]),
        ("a,b\ty\n1\t2\n", {"separator": "tab"}, [[1]]),
        ("a,b\ty\n1\t2\n", {"separator": "\\t"}, [[1]]),
        ('a,y\n"1,234","2"\n', {"decimal": ","}, [[1.234]]),
        ("a;y\n1,234;2,345\n", {"decimal": ","}, [[1.234]]),
    ],
)
def test_separator_and_decimal_mark_can_be_said(tmp_path, content, options, x):
    assert tasks.read_csv(written(tmp_path, content), "y", **options).x.tolist() == x


@table(
    "options, error, message",
    [
        (
            {"separator": ";;"},
            ValueError,
            "separator must be one character, 'tab' or '', .* got ';;'",
        ),
        ({"separator": '"'}, ValueError, "separator must be one character"),
        ({"separator": ",", "decimal": ","}, ValueError, "differ from decimal and quotes"),
        ({"separator": 1}, TypeError, "separator"),
        ({"decimal": "x"}, ValueError, r"decimal must be one of \['', '.', ','\], got 'x'"),
        ({"decimal": ","}, ValueError, "line 2, column 'a': expected a finite number, got '1.5'"),
        ({"separator": ";"}, KeyError, r"\['a,y'\], got 'y'"),
    ],
)
def test_a_separator_that_is_none_is_refused(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        tasks.read_csv(written(tmp_path, "a,y\n1.5,2\n"), "y", **options)


def test_sizes_near_the_ends_of_float64_are_standardised_as_any_other():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    plain = tasks.Table(x, y, ("a", "b"), "y", "t")
    reference = tasks.standardised(plain)
    np.testing.assert_array_equal(reference.x, (x - x.mean(axis=0)) / x.std(axis=0))
    np.testing.assert_array_equal(reference.y, y - y.mean())
    for power in (-1000, -664, 664, 1000):
        found = tasks.standardised(
            dataclasses.replace(plain, x=np.ldexp(x, [power, -power]), y=np.ldexp(y, power))
        )
        np.testing.assert_array_equal(found.x, reference.x)
        np.testing.assert_array_equal(found.y, np.ldexp(reference.y, power))
    ends = dataclasses.replace(plain, y=np.where(np.arange(30) < 15, 1.7e308, -1.7e308) * 1.0)
    ends.y[0] = -1.7e308
    with pytest.raises(ValueError, match=r"labels 'y' of t are as large as 1.7e\+308, and float64"):
        tasks.standardised(ends)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200, 1e300])
def test_contexts_of_a_table_in_any_unit_are_the_same(tmp_path, size):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(12, 3))

    def contexts(scale):
        lines = "".join(f"{a!r},{b!r},{c!r}\n" for a, b, c in (rows * [1.0, scale, scale]).tolist())
        path = written(tmp_path, f"a,b,y\n{lines}")
        given = {"path": path, "target": "y", "context_length": 4, "held_out": 0.25}
        return tasks.TableContexts.from_config("task", {**given, "queries": "held_out"})

    for name in ("x", "y", "query_x", "query_y"):
        found, wanted = (getattr(contexts(scale), name) for scale in (size, 1.0))
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)


def test_labels_that_are_constant_are_named(tmp_path):
    path = written(tmp_path, "a;y\n1,5;3\n2;3\n4;3\n")
    given = {"path": path, "target": "y", "context_length": 1, "separator": ";", "decimal": ","}
    with pytest.raises(
        ValueError, match="task: the labels 'y' of sizes are constant and cannot be"
    ):
        tasks.TableContexts.from_config("task", given)


def test_a_column_that_is_constant_cannot_be_scaled(tmp_path):
    table = tasks.read_csv(written(tmp_path, "a,b,y\n1,7,3\n2,7,4\n"), "y")
    with pytest.raises(ValueError, match="'b'"):
        tasks.standardised(table)
