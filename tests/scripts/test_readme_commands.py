"""The README runner: what it finds in a text, what it makes of it, and how it fails."""

from pathlib import Path

import pytest

from scripts import readme_commands

README = """# Title

```text
not a command
```

```bash quick
# a comment
echo one \\
  two
for i in 1 2; do
  echo $i
done
echo one | cat > written; echo "a
b"
```

   ```bash full
   python -m experiments.run --config=configs/ridge.py --config.depth=4
   ```

```bash manual
sudo reboot
```

```python
x = 1
open("here", "w").close()
```
"""


def test_fences_are_found_with_language_mode_and_line():
    found = [(f.language, f.mode, f.line) for f in readme_commands.fences(README)]
    assert found == [
        ("text", "", 3),
        ("bash", "quick", 7),
        ("bash", "full", 18),
        ("bash", "manual", 22),
        ("python", "", 26),
    ]


def test_a_command_ends_where_bash_finds_it_complete():
    _, fence, *_ = readme_commands.fences(README)
    assert readme_commands.split_commands(fence.text) == [
        "echo one \\\n  two",
        "for i in 1 2; do\n  echo $i\ndone",
        'echo one | cat > written; echo "a\nb"',
    ]
    document = "cat <<END\necho no\nEND\necho yes\n"
    assert readme_commands.split_commands(document) == ["cat <<END\necho no\nEND", "echo yes"]


def test_an_incomplete_command_is_refused():
    with pytest.raises(ValueError, match="bash finds this incomplete: 'echo \"a"):
        readme_commands.split_commands('echo "a\n')


def test_quick_mode_changes_config_and_run_folder_only():
    quick = readme_commands.in_quick_mode
    runs = Path("/tmp/x/runs")
    assert quick("run --config=configs/a.py --workdir=runs/b --config.depth=3", runs) == (
        "run --config=configs/a.py:quick --workdir=/tmp/x/runs/b --config.depth=3"
    )
    assert quick("run --config=configs/a.py", runs) == (
        "run --config=configs/a.py:quick --workdir=/tmp/x/runs/a"
    )
    assert quick("run --config=configs/a.py:quick --workdir=runs/b", runs) == (
        "run --config=configs/a.py:quick --workdir=/tmp/x/runs/b"
    )
    assert quick("cat runs/b/summary.json old_runs/c", runs) == (
        "cat /tmp/x/runs/b/summary.json old_runs/c"
    )


def test_a_bash_fence_must_say_what_becomes_of_it():
    with pytest.raises(ValueError, match=r"line 2: a bash fence must open with '```bash quick'"):
        list(readme_commands.fences("\n```bash\nls\n```\n"))


def test_an_open_fence_is_refused():
    with pytest.raises(ValueError, match="line 1: the fence is never closed"):
        list(readme_commands.fences("```bash quick\nls\n"))


def run(folder: Path, markdown: str, *options: str) -> int:
    path = folder / "README.md"
    path.write_text(markdown)
    return readme_commands.main([str(path), *options])


def test_commands_run_in_the_checkout_and_python_elsewhere(tmp_path, capsys):
    markdown = "```bash quick\ntouch made\ntouch made\nfalse\n```\n```python\nopen('x', 'w')\n```\n"
    assert run(tmp_path, markdown, "--done=false") == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.md", "made"]
    out = capsys.readouterr().out
    assert out.count("touch made") == 1 and "already run: false" in out and "open('x'" in out


@pytest.mark.parametrize(
    "body, message",
    [
        ("```bash quick\necho said; exit 3\n```\n", "line 1: exit 3 from\necho said; exit 3"),
        ("```python\nprint('said')\nraise SystemExit(4)\n```\n", "exit 4 from\nprint('said')"),
        ("```bash quick\necho said; sleep 60\n```\n", "no end after 0.5 s from"),
        ("```bash quick\necho said; false | cat\n```\n", "exit 1 from"),
    ],
)
def test_a_failure_shows_command_and_output(tmp_path, capsys, body, message):
    assert run(tmp_path, body, *(["--timeout=0.5"] if "sleep" in body else [])) == 1
    err = capsys.readouterr().err
    assert message in err and "output:\nsaid" in err


def test_a_missing_or_bad_readme_is_an_error(tmp_path, capsys):
    assert readme_commands.main([str(tmp_path / "none.md")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert run(tmp_path, "```bash\nls\n```\n") == 1
    assert "must open with" in capsys.readouterr().err


def test_the_commands_of_a_page_run_where_the_readme_lies(tmp_path):
    page = tmp_path / "docs" / "howto" / "page.md"
    page.parent.mkdir(parents=True)
    page.write_text("```bash quick\ntouch here\n```\n", encoding="utf-8")
    assert readme_commands.root_of(page) == page.parent
    (tmp_path / "README.md").touch()
    assert readme_commands.main([str(page)]) == 0
    assert (tmp_path / "here").exists()
