import itertools
import re
import time
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from provmanager.errors import UsageError
from provmanager.formats.svg import MAX_BOXES, render_svg

SVG = "{http://www.w3.org/2000/svg}"


def activity(box_id: str, name: str, count: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": box_id, "kind": "activity", "name": name, "count": count,
        "statuses": {"completed": count}, "versions": ["0.32.0"],
        "first_at": "2026-11-21T02:12:48Z", "last_at": "2026-11-21T02:15:24Z",
        "is_focus": False, "level": None,
    } | more  # fmt: skip


def product(box_id: str, name: str, count: int = 1, **more: Any) -> dict[str, Any]:
    return activity(box_id, name, count, statuses={}, versions=[], first_at=None) | {
        "kind": "product", **more
    }  # fmt: skip


def summary(boxes: list[dict[str, Any]], arrows: list[tuple[str, str, int]]) -> dict[str, Any]:
    return {
        "focus": {"kind": "entity", "id": "f", "name": "dl2.h5"},
        "direction": "up",
        "boxes": boxes,
        "arrows": [{"source": s, "target": t, "count": n, "roles": ["in"]} for s, t, n in arrows],
        "counts": {},
        "truncated": False,
    }


@pytest.fixture
def chain() -> dict[str, Any]:
    failed = {"completed": 597, "error": 3}
    return summary(
        [
            product("p1", "raw.simtel.zst", 600, level="DL0"),
            activity("a1", "ctapipe-process", 600, statuses=failed),
            product("p2", "of ctapipe-process", 600),
            activity("a2", "ctapipe-merge"),
            product("p3", "dl2.h5", is_focus=True),
        ],
        [("p1", "a1", 600), ("a1", "p2", 600), ("p2", "a2", 600), ("a2", "p3", 1)],
    )


def boxes_in(svg: str) -> dict[str, ET.Element]:
    groups = ET.fromstring(svg).iter(f"{SVG}g")
    return {g.attrib["id"].removeprefix("box-"): g for g in groups if "id" in g.attrib}


def test_the_picture_has_a_role_a_name_and_a_description_in_words(chain: dict[str, Any]):
    root = ET.fromstring(render_svg(chain))
    assert root.attrib["role"] == "img"
    names = {e.attrib["id"]: e.text for e in root if e.tag in (f"{SVG}title", f"{SVG}desc")}
    assert names[root.attrib["aria-labelledby"]] == "Lineage of dl2.h5"
    described = names[root.attrib["aria-describedby"]] or ""
    assert "ctapipe-process: 600 runs, 597 completed, 3 error, version 0.32.0" in described
    assert "raw.simtel.zst (product) to ctapipe-process (activity)" in described


def test_statuses_are_told_by_sign_and_word_and_a_failure_marks_its_box(chain: dict[str, Any]):
    boxes = boxes_in(render_svg(chain))
    texts = [t.text for t in boxes["a1"].iter(f"{SVG}text")]
    assert texts == [
        "ctapipe-process",
        "600 runs · ✗ 3 error · ✓ 597 completed",
        "0.32.0",
        "2026-11-21",
    ]
    assert "lg-bad" in boxes["a1"].attrib["class"]
    assert "lg-bad" not in boxes["a2"].attrib["class"]
    assert "lg-focus" in boxes["p3"].attrib["class"]


def test_each_box_is_a_link_only_where_a_link_is_given(chain: dict[str, Any]):
    def link(box: Any) -> str | None:  # Any: JSON
        return None if box["id"] == "p1" else f"/show?x=1&box={box['id']}"

    svg = render_svg(chain, link=link)
    assert ET.fromstring(svg).attrib["role"] == "group"
    links = {i: g.find(f"{SVG}a") for i, g in boxes_in(svg).items()}
    assert links["p1"] is None
    assert links["a1"] is not None
    assert links["a1"].attrib["href"] == "/show?x=1&box=a1"
    assert "600 runs" in links["a1"].attrib["aria-label"]
    assert "<a " not in render_svg(chain)


def test_boxes_do_not_overlap_and_arrows_end_further_right(chain: dict[str, Any]):
    svg = render_svg(chain)
    rects = [
        tuple(float(r.attrib[k]) for k in ("x", "y", "width", "height"))
        for r in ET.fromstring(svg).iter(f"{SVG}rect")
    ]
    assert len(rects) == 5
    for left, right in itertools.pairwise(rects):
        assert left[0] + left[2] < right[0]
    paths = re.findall(r'class="lg-arrow" d="M([\d.]+) [^"]*?([\d.]+)(?: [\d.]+)?"', svg)
    assert len(paths) == 4
    assert all(float(start) < float(end) for start, end in paths)


def test_names_cannot_break_out_of_the_picture():
    evil = '"/><script>alert(1)</script>\x00\x1b[31m\ud800'
    svg = render_svg(summary([activity("a", evil)], []), link=lambda _: evil, title=evil)
    root = ET.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    assert "\x1b" not in svg


def test_a_long_name_is_shortened_and_stays_whole_in_the_tooltip():
    name = "gamma_20deg_0deg_run10___cta-prod6-2147m-LaPalma-dark_cone10.simtel.zst"
    (box,) = boxes_in(render_svg(summary([product("p", name)], []))).values()
    (text,) = (t.text or "" for t in box.iter(f"{SVG}text"))
    assert len(text) == 30
    assert text.startswith("gamma_20deg_0d")
    assert text.endswith("10.simtel.zst")
    assert name in (box.findtext(f"{SVG}title") or "")


def test_boxes_in_a_circle_become_one():
    made = summary(
        [activity("a", "one"), product("p", "x"), activity("b", "two"), product("q", "y")],
        [("a", "p", 1), ("p", "b", 1), ("b", "p", 1), ("p", "q", 2)],
    )
    boxes = boxes_in(render_svg(made))
    assert set(boxes) == {"a", "p", "q"}
    assert boxes["p"].findtext(f"{SVG}text") == "⟳ two"


def test_the_same_summary_gives_the_same_picture_in_any_order_of_arrows(chain: dict[str, Any]):
    again = {**chain, "arrows": chain["arrows"][::-1]}
    assert render_svg(again) == render_svg(chain)


def test_more_boxes_than_can_be_read_are_refused_with_what_to_do():
    many = [product(f"p{i}", f"{i}") for i in range(MAX_BOXES + 1)]
    with pytest.raises(UsageError, match=r"301 boxes.*ask for less"):
        render_svg(summary(many, []))


def test_three_hundred_boxes_are_drawn_in_a_second():
    boxes = [activity(f"b{i:03}", f"step {i}", i + 1) for i in range(MAX_BOXES)]
    arrows = [(f"b{i // 2:03}", f"b{i:03}", i) for i in range(1, MAX_BOXES)]
    arrows += [("b000", f"b{i:03}", 1) for i in range(10, MAX_BOXES)]
    started = time.process_time()
    svg = render_svg(summary(boxes, arrows))
    assert time.process_time() - started < 1.0
    assert len(boxes_in(svg)) == MAX_BOXES
