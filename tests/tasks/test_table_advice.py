"""What a refused table is told to do: it must lead to one that is read."""

import os

import pytest

from elsa import tasks
from tests.helpers import table
from tests.tasks.helpers import written


def test_a_missing_file_a_folder_and_a_file_at_home_are_three_things(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "a,y\n1,2\n")
    (tmp_path / "circle.txt").symlink_to("circle.txt")
    assert tasks.read_csv("~/sizes.csv", "y").name == "sizes"
    said = "read_csv: path (data.path in a config) must be a CSV file, got "
    for path, error, message in (
        ("no.csv", FileNotFoundError, f"'no.csv': there is no file '{tmp_path}/no.csv'"),
        ("~/no.csv", FileNotFoundError, f"'~/no.csv': there is no file '{tmp_path}/no.csv'"),
        ("sizse.csv", FileNotFoundError, f"{tmp_path}/sizse.csv'; did you mean 'sizes.csv'?"),
        ("a/no.csv", FileNotFoundError, f"'a/no.csv': there is no file '{tmp_path}/a/no.csv'"),
        (".", IsADirectoryError, "'.', which is a folder; name a file in it"),
        ("~", IsADirectoryError, "'~', which is a folder; name a file in it"),
        (os.devnull, FileNotFoundError, f"{os.devnull!r}, which is no regular file"),
        ("", FileNotFoundError, "'', which names none"),
        ("\0", FileNotFoundError, f"'\\x00': there is no file '{tmp_path}/\\x00'"),
        ("sizes.csv/no", FileNotFoundError, f"there is no file '{tmp_path}/sizes.csv/no'"),
        ("circle.txt", OSError, "'circle.txt': Too many levels of symbolic links"),
        ("x" * 300, OSError, f"'{'x' * 40}'.., 300 characters: File name too long"),
    ):
        with pytest.raises(error) as refused:
            tasks.read_csv(path, "y")
        assert str(refused.value).startswith(said) and str(refused.value).endswith(message)


def test_part_of_a_long_name_finds_it(tmp_path):
    path = written(tmp_path, "floor area [m²],sale price at the date of the contract [EUR]\n1,2\n")
    with pytest.raises(KeyError, match=r"got 'Sale price'; did you mean 'sale price at .*EUR\]'"):
        tasks.read_csv(path, "Sale price")
    tasks.read_csv(path, "sale price at the date of the contract [EUR]")


@table(
    "content, options",
    [
        ("a;y\n1,5;2.5\n", {}),
        ("a;y\n1,5;2.5\n", {"decimal": "."}),
        ("a;b;y\n1.5;1,5;2\n2;1,234.5;3\n", {}),
        ("a;y\n1,234;2.5\n", {}),
        ('a,y\n"1,5",2.5\n', {}),
    ],
)
def test_two_decimal_marks_are_no_matter_of_the_key(tmp_path, content, options):
    with pytest.raises(
        ValueError, match=r"got '1,(5|234)'; .*with one mark; '.' stands in li"
    ) as no:
        tasks.read_csv(written(tmp_path, content), "y", **options)
    assert "data.decimal" not in str(no.value)
    with pytest.raises(ValueError, match="with one mark; ',' stands in line 2, column"):
        tasks.read_csv(written(tmp_path, content), "y", decimal=",")
    path = written(tmp_path, content.replace(",5", ".5").replace("1,234", "1234"))
    assert tasks.read_csv(path, "y").x[0, 0] in (1.5, 1234.0)


@table(
    "target, message",
    [
        ("grade", r"'grade': .* got 'low'; a target is a number in every row, .* 'low', 'high': "),
        ("name", r"'name': .* got 'p0'; a target is .* 'p4', ..: write a number for each of them"),
    ],
)
def test_a_target_of_text_is_no_category_to_encode(tmp_path, target, message):
    rows = "".join(f"p{n},{'low' if n % 2 == 0 else 'high'},{n}\n" for n in range(8))
    path = written(tmp_path, f"name,grade,age\n{rows}")
    drop = ({"name", "grade"} - {target}).pop()
    with pytest.raises(ValueError, match=message) as refused:
        tasks.read_csv(path, target, drop=(drop,))
    assert "line 2" in str(refused.value) and "(data.target in a config)" in str(refused.value)
    assert "dummies" not in str(refused.value) and "drop" not in str(refused.value)
    with pytest.raises(ValueError, match=r"another one in every row; leave .* drop=\('name',\)"):
        tasks.read_csv(path, "age")


@table(
    "content, options, message",
    [
        ("a,y\n1,2\n", {"separator": ";"}, "was given as ';', and ',' separates the first .* out"),
        ("a;y\n1,5;2\n", {"separator": ","}, "was given as ',', and ';' separates the first line"),
        ("a\ty\n1\t2\n", {"separator": "|"}, r"was given as '\|', and 'tab' separates .* 'tab'\""),
        ("a:y\n1:2\n", {"separator": ";"}, "was given as ';', and ':' separates .*: say ':'"),
        ("a:y\n1:2\n", {}, r"separator \(data.separator in a config\) may be ':', which makes it"),
        ("  a   y\n1.5   2\n", {}, "may be ' ', which makes it a column"),
    ],
)
def test_a_separator_that_does_not_fit_is_named_beside_the_one_that_does(
    tmp_path, content, options, message
):
    path = written(tmp_path, content)
    with pytest.raises(KeyError, match=message):
        tasks.read_csv(path, "y", **options)
    mark = next(mark for mark in ("\t", ";", ":", " ", ",") if mark in content)
    assert tasks.read_csv(path, "y", separator=mark).x[0, 0] in (1.0, 1.5)


@table(
    "above, message",
    [
        ("# measured by hand\n", "line 1 is a comment, line 2 names them: delete what is above it"),
        ("# by hand, twice; or so\n\n# b\n", "line 1 is a comment, line 4 names them"),
        ("My table\n", "line 1 does not name the columns, line 2 names them"),
        ("My table;\n", "line 1 does not name the columns, line 2 names them"),
        ("sep=;\n% what Excel reads\n", "line 2 is a comment, line 3 names them"),
    ],
)
def test_lines_above_the_names_are_told_from_them(tmp_path, above, message):
    rows = "a;y\n1,5;2\n3;4\n"
    with pytest.raises(KeyError, match=message):
        tasks.read_csv(written(tmp_path, above + rows), "y")
    assert tasks.read_csv(written(tmp_path, rows), "y").x[0, 0] == 1.5


@table(
    "content, message",
    [
        ("a,y\n1,2\n# late\n3,4\n", "line 3: expected 2 entries, got 1; it is a comment: delete"),
        ("a,y\nb,c\n", r"\['a', 'y'\], got 'z'\"$"),  # no line has z
        ("a,y\n1,z\n", r"\['a', 'y'\], got 'z'\"$"),  # a row of entries, no names
        ("sep=;\n", r"target must be a column of .*: \[\], got 'y'"),
        ("a,y\n1D+2,2\n", "got '1D.2'; write powers of ten with e"),
        ("a,y\n\ufeff1,2\n", r"write it with ASCII digits and signs, 1$"),
    ],
)
def test_other_advice(tmp_path, content, message):
    target = "y" if "z" not in message else "z"
    with pytest.raises((ValueError, KeyError), match=message):
        tasks.read_csv(written(tmp_path, content), target)


def test_all_columns_with_text_or_missing_entries_are_named_at_once(tmp_path):
    rows = "age,city,size,late fee,y\n1,Rome,3,NA,1\nNA,Bern,4,x,2\n?,Rome,5,1,3\n"
    path = written(tmp_path, rows)
    with pytest.raises(ValueError, match="line 2, column 'city'") as refused:
        tasks.read_csv(path, "y")
    assert str(refused.value).splitlines()[1] == (
        "3 of 5 columns are so: 'age' (2 missing, of 3), 'city' (3 not a number, as 'Rome', of 3), "
        "'late fee' (1 missing and 1 not a number, as 'x', of 3); fill missing entries or drop "
        "their rows, and pandas.get_dummies(table, columns=['city', 'late fee'], dtype=float) for "
        "text; or leave columns out, by drop=('age', 'city', 'late fee') or "
        "'--config.data.drop=age,city,late fee' on a command line"
    )
    assert tasks.read_csv(path, "y", drop=("age", "city", "late fee")).x.shape == (3, 1)
    with pytest.raises(ValueError, match=r"'--config.data.drop=age,city,late fee' on a comm"):
        tasks.read_csv(path, "y", drop=("age",))
    with pytest.raises(ValueError, match=r"drop=\('late fee', 'age', 'city'\) \(data.drop in a c"):
        tasks.read_csv(path, "y", drop=("late fee", "age"))


@table(
    "rows, message",
    [
        ("a,b,y\nx,1,1\nz,2,3\nx,2,3\n", r"--config.data.drop=a on its command line\)$"),
        ('"p, q",b,y\nx,1,1\nz,2,3\n', r"'--config.data.drop=\"p, q\"' on its"),
        ("a,b,y\n1,2,1\n,2,NA\n", r"\n2 of 3 columns are so: 'a' \(1 missing, of 2\), 'y' \(1 mi"),
        ("a,y\nx,NA\nz,1\n", r"columns=\['a'\], dtype=float\) for text$"),  # no other covariate
        ("a,b,y\nNA,1_0,1\n", r"fill or drop missing entries first, 1 of 1 in this column$"),
    ],
)
def test_columns_of_no_numbers_are_left_out_by_a_word_that_a_shell_takes(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        tasks.read_csv(written(tmp_path, rows), "y")


def test_a_table_of_one_row_is_told_so(tmp_path):
    one = tasks.read_csv(written(tmp_path, "a,y\n1,2\n"), "y")
    with pytest.raises(ValueError, match=r"sizes has 1 row, .*; give it more rows"):
        tasks.standardised(one)


@table(
    "given, error, message",
    [
        (
            {"path": "", "target": "y"},
            FileNotFoundError,
            r"path \(data.path in .* got '', which nam",
        ),
        ({"path": ""}, FileNotFoundError, "got '', which names none"),
        ({"target": "y"}, ValueError, "task: target='y' is of a CSV file, which path must name"),
        ({"decimal": ","}, ValueError, "task: decimal=',' is of a CSV file, which path must name"),
    ],
)
def test_a_config_that_names_no_file_gets_no_other_data(given, error, message):
    with pytest.raises(error, match=message):
        tasks.TableContexts.from_config("task", {"context_length": 4, **given})
