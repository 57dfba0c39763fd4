"""The pages' numbers are those of benchmarks/results.json, and the benchmarks run."""

import importlib
import inspect
import json
import re
import sys

import pytest
from numpy.testing import assert_allclose

import benchmarks.__main__ as command
from benchmarks import plots, report, results, run
from benchmarks.deep_tables import means
from benchmarks.parts import PARTS, Part, chosen, generator, options_parser
from benchmarks.tables import Column, Table
from benchmarks.views import VIEWS

HERE = "tests.docs.benchmark_parts"


@pytest.fixture(scope="module")
def entries():
    return results.read()


# What is on the pages


@pytest.mark.parametrize("path", report.pages(), ids=lambda path: path.name)
def test_pages_say_what_the_results_say(path, entries):
    text = path.read_text(encoding="utf-8")
    assert text == report.filled(text, entries), "run python -m benchmarks.report"


@pytest.mark.parametrize("path", plots.PLOTS, ids=lambda path: path.name)
def test_plots_are_drawn_from_the_results(path, entries):
    assert plots.is_drawn(path, entries), "run python -m benchmarks.report"


def test_every_part_is_on_the_page():
    page = (results.ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert {name for _, name, _, _ in report.MARK.findall(page)} == set(PARTS)


def test_a_changed_result_makes_pages_and_plots_stale(entries):
    part, name = "tsne.approximations", "MNIST, first 10000"
    record = entries[part].record()
    table = next(table for table in record["tables"] if table["name"] == name)
    row = dict(table["rows"][1])
    assert row["method"] == "ExactTSNE, defaults"
    # as if a million years had been taken
    table["rows"] = [table["rows"][0], row | {"whole fit": 1e6}, *table["rows"][2:]]
    changed = entries | {part: results.Entry.from_record(record)}
    stale = {path.name for path in report.stale(changed)}
    assert {"README.md", "benchmarks.md", "benchmarks_tsne.svg"} <= stale
    assert "benchmarks_clustering.svg" not in stale


def test_a_page_edited_by_hand_is_stale(entries):
    page = "x <!-- results: tsne.iteration -->1000<!-- end --> y"
    ratio = entries["tsne.exact"].table("iteration").rows[0]["times faster"]
    filled = report.filled(page, entries)
    assert filled == page.replace("1000", f"{ratio:.0f}")
    assert filled == report.filled(filled, entries)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<!-- results: tsne.other -->\n<!-- end -->", "no part of the benchmarks"),
        ("<!-- results: tsne.exact/other -->\n<!-- end -->", "no table 'other'"),
        ("<!-- results: tsne.exact -->\n", "no comment that ends"),
        ("a\n<!-- results: tsne.iteration --><!-- end --> b", "begins a line"),
    ],
)
def test_marks_that_mean_nothing(page, message, entries):
    with pytest.raises((KeyError, ValueError), match=message):
        report.filled(page, entries)


def test_a_part_that_was_not_measured_is_said():
    page = "<!-- results: tsne.exact -->\n<!-- end -->"
    assert "Not yet measured: `python -m benchmarks --only" in report.filled(page, {})


@pytest.mark.parametrize("name", VIEWS)
def test_views_that_are_sentences_fit_into_one(name, entries):
    shown = VIEWS[name](entries)
    assert ("|" in shown) == ("\n" in shown)
    assert shown == shown.strip()


def test_pages_name_parts_that_exist():
    found = []
    for path in report.pages():
        text = path.read_text(encoding="utf-8")
        for names in re.findall(
            r"python -m benchmarks --only((?:\s+[a-z][\w.-]*)+)", text
        ):
            found += names.split()
    assert "tsne.exact" in found
    for name in set(found):
        chosen([name])


# What is in the file


def test_the_file_is_as_it_would_be_written(entries, tmp_path):
    path = tmp_path / "results.json"
    results.write(entries, path)
    assert path.read_text("utf-8") == results.RESULTS.read_text("utf-8")
    assert results.read(path) == entries


def test_entries_tell_where_they_come_from(entries):
    assert set(entries) <= set(PARTS)
    for name, entry in entries.items():
        assert re.match(r"20\d\d-\d\d-\d\d", entry.measured)
        assert entry.command.startswith("python -m benchmarks --only")
        assert name in entry.command
        assert entry.machine["cpu"]
        assert entry.machine["cores"]
        assert entry.versions["python"]
        assert entry.revision
        assert entry.threads
        assert entry.tables
        for table in entry.tables:
            assert table.rows
            table.markdown()  # every cell has a format
        # nothing of the machine's folders
        assert "/" not in json.dumps(entry.options) + entry.command


# What makes them


def test_a_table_prints_itself_and_goes_through_json():
    columns = (
        Column("name"),
        Column("time", "s", "{:.2f}"),
        Column("mean", "", "{:.1f} ± {:.1f}"),
    )
    table = Table("t", "Title", columns)
    table = table.plus("a", 1 / 3, [1.0, 2.0]).plus("b", float("nan"), None)
    table = table.noted("A note.")
    assert table.markdown().splitlines() == [
        "**Title**", "", "| name | time, s | mean |", "|---|---|---|",
        "| a | 0.33 | 1.0 ± 2.0 |", "| b |  |  |", "", "A note.",
    ]  # fmt: skip
    assert table.row("name", "a")["time"] == 0.333333
    again = Table.from_record(json.loads(results.dumped(table.record())))
    assert again == table
    with pytest.raises(KeyError, match="no row with name 'c'"):
        table.row("name", "c")
    with pytest.raises(ValueError, match="a column twice"):
        Table("t", "", (Column("d"), Column("d")))
    with pytest.raises(ValueError, match="zip"):
        table.plus("a", 1)


def test_a_part_runs_in_a_process_of_its_own(capfd):
    found = run.measure(f"{HERE}:quick", ["--threads", "1"], 60)
    assert found.ended == ""
    (table,) = found.tables
    assert [row["n"] for row in table.rows] == [1000, 2000]
    assert table.notes == ("threads=1",)
    assert_allclose(table.rows[0]["time"], 1 / 3, rtol=1e-5)
    # printed as it went, in the order in which it came
    lines = [line for line in capfd.readouterr().out.splitlines() if line]
    assert lines[0] == "**title**"
    assert lines[-3:] == ["| 1,000 | 0.33 |", "threads=1", "| 2,000 |  |"]


def test_a_part_that_fails_leaves_its_rows(capfd):
    found = run.measure(f"{HERE}:failing", [], 60)
    assert found.ended == "failed with exit status 1"
    assert len(found.tables[0].rows) == 1
    assert "no more" in capfd.readouterr().err


def test_a_part_that_hangs_is_ended():
    start = run.measure(f"{HERE}:quick", [], 60).seconds
    found = run.measure(f"{HERE}:hanging", [], 3 * start + 5)
    assert found.ended.startswith("ended at its limit")
    assert len(found.tables[0].rows) == 1
    assert found.seconds < 60


@pytest.fixture
def fake_parts(monkeypatch):
    """Three parts, which give what is said here without a process."""
    gives = {}

    def measure(place, arguments, limit):
        name = place.partition(":")[2]
        ran.append((name, arguments, limit))
        return gives.get(name, run.Outcome((rows(name),), 1.0, ""))

    ran = []
    parts = [Part("a.one", "x:one", 1), Part("a.two", "x:two", 20),
             Part("b.three", "x:three", 1, ("no_such_module",))]  # fmt: skip
    named = {part.name: part for part in parts}
    monkeypatch.setattr("benchmarks.parts.PARTS", named)
    monkeypatch.setattr(command, "measure", measure)
    monkeypatch.setattr(results, "revision", lambda: "abc")
    monkeypatch.setattr(results, "package_is_of", lambda commit: commit == "abc")
    return gives, ran


def rows(name):
    return Table(name, "", (Column("n"),)).plus(1)


def called(monkeypatch, path, *arguments):
    monkeypatch.setattr(sys, "argv", ["", "--output", str(path), *arguments])
    return command.main()


def test_parts_replace_only_themselves(fake_parts, monkeypatch, tmp_path, capsys):
    gives, ran = fake_parts
    path = tmp_path / "results.json"
    assert (
        called(monkeypatch, path, "--threads", "1", "--mnist", "/some/where.npz") == 0
    )
    assert [name for name, _, _ in ran] == ["one", "two"]
    assert "left out: no_such_module is not installed" in capsys.readouterr().out
    first = results.read(path)
    assert set(first) == {"a.one", "a.two"}
    assert first["a.one"].options == {"threads": 1, "mnist": "where.npz"}
    assert first["a.one"].command == (
        "python -m benchmarks --only a.one --threads 1 --mnist where.npz"
    )
    # the part itself is given the whole path, and its time
    assert ran[0][1] == ["--threads", "1", "--mnist", "/some/where.npz"]
    assert [limit for _, _, limit in ran] == [600, 3600]

    gives["two"] = run.Outcome((rows("new"),), 2.0, "ended at its limit")
    assert called(monkeypatch, path, "--only", "a.two") == 1
    second = results.read(path)
    assert second["a.one"] == first["a.one"]
    assert second["a.two"].tables[0].name == "new"
    assert second["a.two"].ended == "ended at its limit"
    assert "incomplete: ended at its limit" in report.conditions(
        "tsne.exact", second["a.two"]
    )

    # what gives nothing replaces nothing
    gives["two"] = run.Outcome((), 2.0, "failed with exit status 1")
    assert called(monkeypatch, path, "--only", "a.two") == 1
    assert results.read(path) == second


def test_a_run_is_resumed(fake_parts, monkeypatch, tmp_path):
    gives, ran = fake_parts
    path = tmp_path / "results.json"
    gives["two"] = run.Outcome((rows("new"),), 2.0, "ended at its limit")
    called(monkeypatch, path)
    del gives["two"], ran[:]
    called(monkeypatch, path, "--resume")
    assert [name for name, _, _ in ran] == ["two"]
    called(monkeypatch, path, "--resume")
    assert len(ran) == 1
    called(monkeypatch, path, "--resume", "--threads", "1")
    assert [name for name, _, _ in ran[1:]] == ["one", "two"]
    # what ended early, or was measured of another package, is measured anew
    entry = results.read(path)["a.one"]
    given = entry.options
    assert command.is_measured(entry, given)
    for change in ({"ended": "by its limit"}, {"revision": "old"}, {"revision": None}):
        other = results.Entry.from_record(entry.record() | change)
        assert not command.is_measured(other, given)


def test_names_and_groups():
    assert [part.name for part in chosen(["deep.iris", "dask"])][:2] == [
        "deep.iris",
        "dask.step",
    ]
    assert len(chosen(None)) == len(PARTS)
    with pytest.raises(KeyError, match=r"no part 'deep.i'"):
        chosen(["deep.i"])


def test_options_come_back_from_their_words():
    words = ["--small", "--seeds", "2", "--sizes", "10", "20", "--no-rows",
             "--variants", "plain", "--maps"]  # fmt: skip
    options = command.parser().parse_args(words)
    again = options_parser().parse_args(command.as_arguments(command.given(options)))
    assert vars(options).items() >= vars(again).items()


def test_parts_are_listed(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["", "--list"])
    assert command.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(PARTS) + 1
    assert all(re.search(r"about +[\d.]+ min", line) for line in lines[:-1])


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_parts_are_there(part):
    module = part.place.partition(":")[0]
    try:
        made = generator(part.place)
    except ImportError as error:
        if part.missing or error.name in {"torch", "dask", "distributed"}:
            pytest.skip(f"{module} needs {error.name}")
        raise
    assert inspect.isgeneratorfunction(made)
    assert made.__doc__


@pytest.mark.slow  # .ci/run has it
def test_one_part_as_it_is():
    found = {}
    options = options_parser().parse_args(["--small"])
    for table in generator("benchmarks.schedule:schedules")(options):
        found[table.name] = table
    assert list(found) == ["iris", "Gaussian"]
    ours, theirs = (
        found["iris"].row("schedule", name)
        for name in ("ours, up to 3,000 rows", "scikit-learn's")
    )
    for mark in ("KL at 300", "KL at 500", "KL at 1,000"):
        assert 0 < ours[mark] < theirs[mark]


def asv_classes():
    for name in ("tsne", "clustering", "fits"):
        module = importlib.import_module(f"benchmarks.asv.{name}")
        for found in vars(module).values():
            local = inspect.isclass(found) and found.__module__ == module.__name__
            if local and timings(found):
                yield found


def timings(suite):
    return [name for name in dir(suite) if name.startswith("time_")]


@pytest.mark.slow
@pytest.mark.parametrize("suite", asv_classes(), ids=lambda suite: suite.__name__)
def test_the_asv_suite_runs(suite):
    assert len(suite.params) == len(suite.param_names)
    few = {"n": 300, "threads": 1, "dtype": "float32", "rows": "digits"}
    values = [few[name] for name in suite.param_names]
    found = suite()
    found.setup(*values)
    try:
        for name in timings(suite):
            getattr(found, name)(*values)
    finally:
        getattr(found, "teardown", lambda *_: None)(*values)


def test_the_asv_suite_has_the_kernels():
    assert {name for suite in asv_classes() for name in timings(suite)} >= {
        "time_repulsion_by_pairs", "time_repulsion_by_grid", "time_attraction",
        "time_calibration_of_all_pairs", "time_step", "time_transform",
        "time_neighbors",
    }  # fmt: skip
    path = results.ROOT / "benchmarks" / "asv.conf.json"
    settings = json.loads(path.read_text("utf-8"))
    assert (path.parent / settings["benchmark_dir"] / "tsne.py").exists()


# Means over seeds


def runs_of(*columns):
    """A table of runs of two methods on two seeds, with these columns first."""
    names = ("method", "seed", "accuracy", "NMI", "ARI", "time", "passes", "start kept")
    table = Table("runs", "", tuple(map(Column, (*columns, *names))))
    first = ["digits"] * len(columns)
    for seed, accuracy in enumerate((0.5, 0.7)):
        table = table.plus(*first, "DEC", seed, accuracy, 0.5, 0.5, 1.0, 3, seed == 0)
        table = table.plus(*first, "k-means", seed, 0.4, 0.5, 0.5, 1.0, 3, None)
    return table


@pytest.mark.parametrize("columns", [(), ("data",)], ids=["one set", "several"])
def test_means_are_of_the_seeds_of_a_method_on_a_set(columns):
    table = means(runs_of(*columns), "")
    assert [row["method"] for row in table.rows] == ["DEC", "k-means"]
    assert [row.get("data") for row in table.rows] == [
        "digits" if columns else None
    ] * 2
    row = table.row("method", "DEC")
    assert_allclose(row["accuracy"], [0.6, 0.1])
    assert (row["worst"], row["start kept"]) == (0.5, [1, 2])
    assert table.row("method", "k-means")["start kept"] is None
