"""What of a class summary is shown."""

from provmanager.model.lineage_view import capped, only_failed


def box(name, **values):
    return {"id": name, "kind": "activity", "statuses": {"completed": 1}, **values}


def summary(boxes, *arrows):
    return {
        "boxes": boxes,
        "arrows": [{"source": a, "target": b} for a, b in arrows],
        "counts": {"activities": 7},
    }


def names(found):
    return {b["id"] for b in found["boxes"]}


FAILED = {"statuses": {"error": 1}}


def test_only_failures_and_where_they_lead_are_kept():
    found = only_failed(
        summary(
            [box("a"), box("b", **FAILED), box("c"), box("d", is_focus=True), box("e")],
            ("a", "b"),
            ("b", "c"),
            ("c", "d"),
            ("e", "d"),
        )
    )
    assert names(found) == {"b", "c", "d"}
    assert [(a["source"], a["target"]) for a in found["arrows"]] == [("b", "c"), ("c", "d")]
    assert found["counts"] == {"activities": 7}


def test_downstream_of_the_focus_the_way_back_to_it_is_kept():
    found = only_failed(
        summary(
            [box("f", is_focus=True), box("x"), box("y", **FAILED), box("z")],
            ("f", "x"),
            ("x", "y"),
            ("y", "z"),
        )
    )
    assert names(found) == {"f", "x", "y"}


def test_without_failures_only_the_focus_is_left():
    assert names(only_failed(summary([box("a"), box("b", is_focus=True)], ("a", "b")))) == {"b"}


def test_at_most_so_many_boxes_are_shown_the_nearest_and_what_is_pinned():
    chain = [box(str(i)) for i in range(200)]
    chain[0]["is_pinned"] = True
    chain[-1]["is_focus"] = True
    arrows = [(str(i), str(i + 1)) for i in range(199)]
    found = capped(summary(chain, *arrows), 60)
    assert len(found["boxes"]) == 60
    assert found["n_left_out"] == 140
    assert {"0", "199", "198"} <= names(found)
    assert capped(summary(chain[:10]), 60)["n_left_out"] == 0
