"""Two products or runs beside each other, and where their histories parted."""

from provmanager.model.comparison import File, History, Run, compare_fields, partings


def run(name, inputs=(), *, side="", at=None, **changes):
    values = {
        "id": f"{side}{name}",
        "name": name,
        "version": "1",
        "status": "completed",
        "started_at": at,
        "software": "s",
        "configuration": "c",
        "inputs": tuple((role, entity) for role, entity in inputs),
    }
    return Run(**(values | changes))


def file(name, *, side="", digest=None, by=None):
    made = f"{side}{by}" if by else None
    return File(id=f"{side}{name}", name=name, digest=digest, generated_by=made)


def history(focus, runs, files):
    return History(focus=focus, runs={r.id: r for r in runs}, files={f.id: f for f in files})


def chain(side="", *, raw_digest=None, **changes):
    """raw -> calibrate -> dl1 -> reconstruct -> dl2, with changes by step."""
    return history(
        f"{side}dl2",
        [
            run("calibrate", [("raw", "raw")], side=side, at="2026-01-01",
                **changes.get("calibrate", {})),
            run("reconstruct", [("dl1", f"{side}dl1")], side=side, at="2026-01-02",
                **changes.get("reconstruct", {})),
        ],
        [
            File(id="raw", name="raw", digest=raw_digest, generated_by=None),
            file("dl1", side=side, by="calibrate"),
            file("dl2", side=side, by="reconstruct"),
        ],
    )  # fmt: skip


def test_fields_that_differ_come_first_and_none_is_absent():
    fields = compare_fields({"a": 1, "b": 2, "c": None}, {"a": 1, "b": 3, "d": 4, "c": None})
    assert [(f.name, f.state) for f in fields] == [
        ("b", "differs"), ("d", "only_b"), ("a", "equal"),
    ]  # fmt: skip


def test_histories_that_say_the_same_part_nowhere():
    assert partings(chain("x/"), chain("y/")) == []
    assert partings(chain("x/"), chain("x/")) == []


def test_the_first_point_is_named_and_what_follows_from_it_is_not():
    other = chain("y/", calibrate={"configuration": "d"})
    (found,) = partings(chain("x/"), other)
    assert (found.kind, found.a, found.b) == ("activity", "x/calibrate", "y/calibrate")
    assert found.reasons == ("configuration",)


def test_software_version_and_status_are_told_apart():
    other = chain("y/", reconstruct={"version": "2", "status": "error"})
    (found,) = partings(chain("x/"), other)
    assert found.reasons == ("software", "status")


def test_two_changes_in_different_branches_are_two_points_the_earliest_first():
    def merged(side, left, right):
        return history(
            f"{side}out",
            [
                run("left", side=side, at="2026-01-02", configuration=left),
                run("right", side=side, at="2026-01-01", configuration=right),
                run("merge", [("l", f"{side}l"), ("r", f"{side}r")], side=side),
            ],
            [file("l", side=side, by="left"), file("r", side=side, by="right"),
             file("out", side=side, by="merge")],
        )  # fmt: skip

    found = partings(merged("x/", "1", "1"), merged("y/", "2", "2"))
    assert [p.a for p in found] == ["x/right", "x/left"]


def test_equal_digests_end_the_search():
    one = history("x/o", [run("make", side="x/")], [file("o", side="x/", by="make", digest="1")])
    two = history(
        "y/o",
        [run("make", side="y/", configuration="d")],
        [file("o", side="y/", by="make", digest="1")],
    )
    assert partings(one, two) == []


def test_roots_that_are_other_files_are_a_point():
    def of(side, digest):
        return history(
            f"{side}use",
            [run("use", [("in", f"{side}raw")], side=side)],
            [file("raw", side=side, digest=digest)],
        )

    (found,) = partings(of("x/", "1"), of("y/", "2"))
    assert (found.kind, found.reasons) == ("product", ("file",))
    assert partings(of("x/", "1"), of("y/", "1")) == []


def test_more_inputs_and_other_steps_are_points():
    one = history("x/use", [run("use", [("in", "a")], side="x/")], [file("a")])
    two = history("y/use", [run("use", [("in", "a"), ("in", "b")], side="y/")],
                  [file("a"), file("b")])  # fmt: skip
    assert partings(one, two)[0].reasons == ("inputs",)
    three = history("z/other", [run("other", side="z/")], [])
    assert partings(one, three)[0].reasons == ("step",)


def test_a_file_that_only_one_side_made_is_a_point():
    one = history("x/o", [run("make", side="x/")], [file("o", side="x/", by="make")])
    two = history("y/o", [], [file("o", side="y/")])
    assert partings(one, two)[0].reasons == ("end",)


def test_inputs_are_paired_by_name_where_nothing_better_is_known():
    def of(side):
        return history(
            f"{side}use",
            [
                run("use", [("in", f"{side}2"), ("in", f"{side}1")], side=side),
                run("make", side=side, configuration=side),
            ],
            [file("1", side=side), File(id=f"{side}2", name="2", digest="2", generated_by=None)],
        )

    (found,) = partings(of("x/"), of("y/"))
    assert (found.a, found.b) == ("x/1", "y/1")


def test_long_and_circular_histories_end():
    n = 20_000
    runs = [run(str(i), [("in", f"f{i - 1}")] if i else [], side="x/") for i in range(n)]
    files = [File(id=f"f{i}", name=None, digest=None, generated_by=f"x/{i}") for i in range(n)]
    long = history(f"f{n - 1}", runs, files)
    shorter = history("g", [run("0", side="y/")], [File(id="g", name="g", digest=None,
                                                       generated_by="y/0")])  # fmt: skip
    assert partings(long, shorter)[0].reasons == ("step",)

    def circle(side):
        return history(
            f"{side}a",
            [
                run("a", [("in", f"{side}fb")], side=side),
                run("b", [("in", f"{side}fa")], side=side),
            ],
            [file("fa", side=side, by="a"), file("fb", side=side, by="b")],
        )

    assert partings(circle("x/"), circle("y/")) == []
