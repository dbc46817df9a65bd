import itertools
import random
import time

import pytest
from handmade_lineage import Lineage
from hypothesis import given
from hypothesis import strategies as st

from provmanager.model.folding import Tree, fold, fold_levels


def sketch(tree: Tree, *, loose: bool = False) -> list[str]:
    """One short text a row, indented by depth."""
    lines = []
    for row in tree.loose if loose else tree.rows:
        count = f"{len(row.ids)} × " if len(row.ids) > 1 else ""
        names = row.names[0] if len(row.names) == 1 else f"{row.names[0]} … {row.names[-1]}"
        roles = f" [{', '.join(row.roles)}]" if row.roles else ""
        chain = f" ⟳{row.levels}" if row.levels > 1 else ""
        lines.append("  " * row.depth + count + names + roles + chain + "↑" * row.is_seen)
    return lines


def chain_of_six() -> Lineage:
    """Three runs of process, of which two are merged; train on the merge; apply."""
    made = Lineage("mu_applied.dl2.h5")
    for i, minute in ((1, 12), (2, 15), (3, 16)):
        at = f"2026-11-21T02:{minute}:00Z"
        made.run(f"p{i}", "process", {"simtel": "DL0"}, {f"mu{i}.dl1.h5": None},
                 started_at=at, ended_at=at)  # fmt: skip
    made.run(
        "m", "merge", {"mu2.dl1.h5": "to merge", "mu3.dl1.h5": "to merge"}, {"merged.h5": None}
    )
    made.run("t", "train", {"merged.h5": "events", "train.yaml": "configuration"}, {"en.pkl": None})
    made.run("a", "apply", {"merged.h5": "events", "en.pkl": "model"}, {"mu_applied.dl2.h5": None})
    made.used.append(
        {"activity": "a", "entity": "merged.h5", "role": "to merge", "basis": "stated"}
    )
    return made


def test_a_chain_reads_from_the_product_to_the_raw_file():
    assert sketch(fold(chain_of_six().json())) == [
        "mu_applied.dl2.h5",
        "  apply",
        "    merged.h5 [events, to merge]",
        "      merge",
        "        2 × mu2.dl1.h5 … mu3.dl1.h5 [to merge]",
        "          2 × process",
        "            simtel [DL0]",
        "    en.pkl [model]",
        "      train",
        "        train.yaml [configuration]",
        "        merged.h5 [events]↑",
    ]


def test_downstream_of_the_raw_file_reads_to_the_last_product():
    made = chain_of_six()
    made.focus = "simtel"
    assert sketch(fold(made.json("down"), "down")) == [
        "simtel",
        "  process [DL0]",
        "    mu1.dl1.h5",
        "  2 × process [DL0]",
        "    2 × mu2.dl1.h5 … mu3.dl1.h5",
        "      merge [to merge]",
        "        merged.h5",
        "          apply [events, to merge]",
        "            mu_applied.dl2.h5",
        "          train [events]",
        "            en.pkl",
        "              apply [model]↑",
    ]


def test_an_activity_can_be_the_focus():
    made = chain_of_six()
    made.focus = "t"
    rows = fold(made.json()).rows
    assert (rows[0].kind, rows[0].ids, rows[0].is_focus) == ("activity", ("t",), True)
    assert sketch(fold(made.json()))[1:3] == [
        "  train.yaml [configuration]",
        "  merged.h5 [events]",
    ]


def test_folded_rows_tell_counts_times_versions_and_roots():
    rows = fold(chain_of_six().json()).rows
    process = next(row for row in rows if row.names == ("process",))
    assert process.ids == ("p2", "p3")
    assert process.statuses == {"completed": 2}
    assert process.versions == ("1.0",)
    assert (process.first_at, process.last_at) == ("2026-11-21T02:15:00Z", "2026-11-21T02:16:00Z")
    roots = [row.names for row in rows if row.n_roots]
    assert roots == [("simtel",), ("train.yaml",)]


def test_a_failed_run_is_not_folded_into_those_that_worked():
    made = Lineage("out")
    for i in range(20):
        status = "error" if i == 7 else "completed"
        made.run(f"p{i:02}", "process", {f"raw{i}.zst": "DL0"}, {f"run{i}.h5": None}, status=status)
    made.run("m", "merge", {f"run{i}.h5": "in" for i in range(20)}, {"out": None})
    rows = [row for row in fold(made.json()).rows if row.names == ("process",)]
    assert [dict(row.statuses) for row in rows] == [{"error": 1}, {"completed": 19}] or [
        dict(row.statuses) for row in rows
    ] == [{"completed": 19}, {"error": 1}]
    failed = next(row for row in rows if "error" in row.statuses)
    assert failed.first_failed is not None
    assert failed.first_failed["id"] == "p07"


def test_too_many_shapes_are_put_together_with_the_first_failure_named():
    made = Lineage("out")
    for i in range(300):
        made.run(f"p{i:03}", "process", {f"raw{i}.zst": "DL0"}, {f"run{i}.h5": None},
                 version=f"0.{i % 50}", status="error" if i in (41, 77) else "completed",
                 started_at=f"2026-11-21T{i // 60:02}:{i % 60:02}:00Z")  # fmt: skip
    made.run("m", "merge", {f"run{i}.h5": "in" for i in range(300)}, {"out": None})
    rows = fold(made.json()).rows
    assert len(rows) < 10
    (process,) = [row for row in rows if row.names == ("process",)]
    assert process.statuses == {"completed": 298, "error": 2}
    assert process.first_failed is not None
    assert process.first_failed["id"] == "p041"
    assert len(process.versions) == 50


def test_a_few_unlike_inputs_stay_apart_while_many_alike_are_put_together():
    made = Lineage("out")
    inputs = {f"{name}.fits": name for name in ("gain", "mirror", "camera")}
    for i in range(40):
        made.run(f"p{i:02}", "process", {f"raw{i}.zst": None}, {f"run{i}.h5": None}, version=str(i))
        inputs[f"run{i}.h5"] = "in"
    made.run("m", "merge", inputs, {"out": None})
    names = [row.names[0] for row in fold(made.json()).rows if row.depth == 2]
    assert names == ["camera.fits", "gain.fits", "mirror.fits", "run0.h5"]


def test_a_step_repeated_night_after_night_is_one_row():
    made = Lineage("model500")
    for i in range(500):
        made.run(f"n{i:03}", "update", {f"model{i}": "prior", "calib.h5": "calibration"},
                 {f"model{i + 1}": None})  # fmt: skip
    tree = fold(made.json())
    assert sketch(tree) == [
        "model500",
        "  500 × update ⟳500",
        "    calib.h5 [calibration]",
        "    model0 [prior]",
    ]
    assert tree.rows[1].n_hidden == 499


def test_two_steps_in_turn_are_one_chain_and_a_failure_in_it_is_named():
    made = Lineage("x9")
    for i in range(9):
        made.run(f"a{i}", "calibrate", {f"x{i}": None}, {f"y{i}": None},
                 status="interrupted" if i == 4 else "completed")  # fmt: skip
        made.run(f"b{i}", "clean", {f"y{i}": None}, {f"x{i + 1}": None})
    (chain,) = [row for row in fold(made.json()).rows if row.levels > 1]
    assert chain.levels == 18
    assert chain.names == ("calibrate", "clean")
    assert chain.statuses == {"completed": 17, "interrupted": 1}
    assert chain.first_failed is not None
    assert chain.first_failed["id"] == "a4"


def test_the_same_step_twice_in_a_row_is_shown_as_it_is():
    made = Lineage("c")
    made.run("1", "step", {"a": None}, {"b": None})
    made.run("2", "step", {"b": None}, {"c": None})
    assert sketch(fold(made.json())) == ["c", "  step", "    b", "      step", "        a"]


def test_parallel_chains_of_the_same_steps_are_one_row():
    made = Lineage("out")
    for tel in range(4):
        for i in range(6):
            made.run(
                f"{tel}-{i}", "update", {f"t{tel}_{i}.h5": "prior"}, {f"t{tel}_{i + 1}.h5": None}
            )
    made.run("m", "merge", {f"t{tel}_6.h5": "in" for tel in range(4)}, {"out": None})
    (chain,) = [row for row in fold(made.json()).rows if row.levels > 1]
    assert (len(chain.ids), chain.n_chains, chain.levels) == (24, 4, 6)


def test_a_file_rewritten_in_place_does_not_loop():
    made = Lineage("f")
    made.run("1", "fix", {"f": None, "g": None}, {"f": None})
    assert sketch(fold(made.json())) == ["f", "  fix", "    g", "    f↑"]
    made = Lineage("f")
    made.run("1", "one", {"f": None}, {"g": None})
    made.run("2", "two", {"g": None, "h": None}, {"f": None})
    assert sketch(fold(made.json())) == ["f", "  2 × one … two ⟳2", "    h"]


def test_links_that_are_inferred_or_claimed_say_so():
    made = Lineage("out")
    made.run(
        "1", "claimed-tool", {}, {"in": None}, is_claim=True, basis="claimed", status="unknown"
    )
    made.run("2", "tool", {"in": None}, {"out": None}, basis="inferred")
    tool, claimed = (row for row in fold(made.json()).rows if row.kind == "activity")
    assert tool.basis == ("inferred",)
    assert (claimed.basis, claimed.n_claims) == (("claimed",), 1)


def test_derivation_is_shown_where_no_activity_tells_the_same():
    made = Lineage("out")
    made.run("1", "tool", {"in": None}, {"out": None})
    made.entity("elsewhere")
    made.derived = [
        {"derived": "out", "source": "in", "rule": "stated", "basis": "stated"},
        {"derived": "out", "source": "elsewhere", "rule": "stated", "basis": "stated"},
    ]
    assert sketch(fold(made.json())) == ["out", "  elsewhere", "  tool", "    in"]


def test_members_of_a_collection_are_shown_below_it():
    made = Lineage("all")
    made.entity("all", kind="collection")
    for i in range(30):
        made.entity(f"part{i}.fits")
        made.members.append({"collection": "all", "member": f"part{i}.fits"})
    tree = fold(made.json())
    assert sketch(tree) == ["all", "  30 × part0.fits … part29.fits"]
    assert tree.rows[1].relation == "member"


def test_activities_that_no_file_joins_are_not_left_out():
    made = chain_of_six()
    made.run("w", "watch", {"log": None}, {})
    assert "p1" not in {i for row in fold(made.json()).rows for i in row.ids}
    loose = fold(made.json()).loose
    assert {row.ids for row in loose if row.kind == "activity"} == {("p1",), ("w",)}


def test_what_lies_beyond_the_depth_is_marked():
    made = Lineage("out")
    made.run("1", "tool", {"in": None, "raw": None}, {"out": None})
    made.entity("in", is_root=False)
    rows = {row.names[0]: row for row in fold(made.json()).rows}
    assert (rows["in"].n_cut, rows["in"].n_roots) == (1, 0)
    assert (rows["raw"].n_cut, rows["raw"].n_roots) == (0, 1)


def test_levels_are_a_tree_of_their_own():
    made = chain_of_six()
    made.run("job", "grid job")
    made.run("run", "workflow")
    inner = [(f"p{i}", "job") for i in (1, 2, 3)] + [("job", "run"), ("m", "run")]
    made.parts = [{"activity": a, "part_of": p} for a, p in inner]
    assert sketch(fold_levels(made.json())) == [
        "workflow",
        "  merge",
        "  grid job",
        "    3 × process",
    ]


def layered(n_layers: int, width: int) -> Lineage:
    """Every product of a layer is used by every activity of the next: width**n_layers paths."""
    made = Lineage("out")
    for layer in range(n_layers):
        inputs = {f"f{layer}_{i}.h5": f"r{i}" for i in range(width)}
        for i in range(width):
            outputs: dict[str, str | None] = {f"f{layer + 1}_{i}.h5": None}
            made.run(f"a{layer}_{i}", f"step{layer}", dict(inputs), outputs)
    made.run("last", "last", {f"f{n_layers}_{i}.h5": None for i in range(width)}, {"out": None})
    return made


def test_diamonds_cost_nothing():
    made = layered(40, 6)
    started = time.process_time()
    tree = fold(made.json())
    assert time.process_time() - started < 1.0
    opened = [i for row in tree.rows if not row.is_seen for i in row.ids]
    assert len(opened) == len(set(opened)) == len(made.activities) + len(made.entities)


@pytest.mark.parametrize("shape", ["night", "chain", "unlike"])
def test_ten_thousand_activities_fold_in_about_a_second(shape: str):
    made = Lineage("out")
    n = 10_000
    if shape == "night":
        for i in range(n):
            made.run(f"p{i}", "process", {f"raw{i}.zst": "DL0", "calib.h5": "calibration"},
                     {f"run{i}.dl1.h5": None})  # fmt: skip
        made.run("m", "merge", {f"run{i}.dl1.h5": "in" for i in range(n)}, {"out": None})
    else:
        for i in range(n):
            name = "step" if shape == "chain" else f"step{i % 5000}"
            target = "out" if i == n - 1 else f"x{i + 1}"
            made.run(f"p{i}", name, {f"x{i}": None}, {target: None})
    lineage = made.json()
    took_s = []
    for _ in range(3):  # the best of three: others may be using this machine
        started = time.process_time()
        tree = fold(lineage)
        took_s.append(time.process_time() - started)
    assert min(took_s) < 1.5  # 0.6 to 0.8 when nobody else is
    assert {i for row in tree.rows for i in row.ids} >= set(made.activities)


@st.composite
def lineages(draw: st.DrawFn) -> Lineage:
    """Any small lineage, with shared inputs, diamonds, failures, cycles and repeated names."""
    n_entities = draw(st.integers(1, 9))
    names = [f"e{i}.{draw(st.sampled_from(['h5', 'fits']))}" for i in range(n_entities)]
    made = Lineage(names[0])
    made.entity(names[0])
    for i in range(draw(st.integers(0, 9))):
        inputs = draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
        outputs = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
        name = draw(st.sampled_from(["p", "q"]))
        roles = {entity: draw(st.sampled_from([None, "r"])) for entity in inputs}
        status = draw(st.sampled_from(["completed", "error"]))
        made.run(f"a{i}", name, roles, dict.fromkeys(outputs), status=status)
    return made


@given(lineages(), st.sampled_from(["up", "down"]), st.randoms(use_true_random=False))
def test_each_record_is_opened_once_and_the_order_of_the_answer_does_not_matter(
    made: Lineage, direction: str, rng: random.Random
):
    lineage = made.json(direction)
    tree = fold(lineage, direction)  # type: ignore[arg-type]
    opened = [i for row in (*tree.rows, *tree.loose) if not row.is_seen for i in row.ids]
    assert len(opened) == len(set(opened))
    assert set(opened) >= set(made.activities) | {made.focus}
    shuffled = {
        key: rng.sample(value, len(value)) if isinstance(value, list) else value
        for key, value in lineage.items()
    }
    assert fold(shuffled, direction) == tree  # type: ignore[arg-type]


@given(lineages())
def test_rows_make_a_tree(made: Lineage):
    rows = fold(made.json()).rows
    assert [row.depth for row in rows[:1]] == [0]
    for above, row in itertools.pairwise(rows):
        assert 1 <= row.depth <= above.depth + 1
        assert not (above.is_seen and row.depth > above.depth)
    for i, row in enumerate(rows):
        later = next((r for r in rows[i + 1 :] if r.depth <= row.depth), None)
        assert row.is_last == (later is None or later.depth < row.depth)
