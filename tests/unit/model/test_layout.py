import itertools
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provmanager.model.layout import Layout, Size, arrange, crossings, without_cycles

BOX = Size(width=180, height=44)
ROUNDING = 1e-6  # pixels; sums of some hundred floats


def overlapping(layout: Layout) -> list[tuple[str, str]]:
    found = []
    for (a, p), (b, q) in itertools.combinations(layout.places.items(), 2):
        apart_x = p.x + p.width <= q.x + ROUNDING or q.x + q.width <= p.x + ROUNDING
        apart_y = p.y + p.height <= q.y + ROUNDING or q.y + q.height <= p.y + ROUNDING
        if not (apart_x or apart_y):
            found.append((a, b))
    return found


def through_boxes(layout: Layout) -> list[tuple[tuple[str, str], str]]:
    """Level parts of arrows that touch a box other than their own ends."""
    found = []
    for arrow, points in layout.routes.items():
        for (x1, y1), (x2, y2) in itertools.pairwise(points):
            for box, p in layout.places.items():
                if box in arrow or y1 != y2:
                    continue
                inside = p.y + ROUNDING < y1 < p.y + p.height - ROUNDING
                if inside and x1 < p.x + p.width and p.x < x2:
                    found.append((arrow, box))
    return found


def test_a_chain_stands_in_a_row():
    layout = arrange({"a": BOX, "b": BOX, "c": BOX}, [("a", "b"), ("b", "c")], gap_x=50, margin=10)
    assert [layout.places[i].x for i in "abc"] == [10, 240, 470]
    assert {layout.places[i].y for i in "abc"} == {10}
    assert (layout.width, layout.height) == (660, 64)
    assert layout.routes["a", "b"] == ((190, 32), (240, 32))


def test_a_source_stands_just_left_of_what_uses_it_first():
    arrows = [("a", "b"), ("b", "c"), ("c", "d"), ("config", "d")]
    layout = arrange(dict.fromkeys(["a", "b", "c", "d", "config"], BOX), arrows)
    assert layout.places["config"].column == layout.places["c"].column == 2


def test_far_arrows_of_one_source_share_a_track():
    boxes = ["calib", *(f"s{i}" for i in range(9))]
    arrows = [(f"s{i}", f"s{i + 1}") for i in range(8)] + [("calib", f"s{i}") for i in range(1, 9)]
    layout = arrange(dict.fromkeys(boxes, BOX), arrows)
    far = [layout.routes["calib", f"s{i}"] for i in range(3, 9)]
    for near, further in itertools.pairwise(far):
        assert further[: len(near) - 1] == near[:-1]
    assert through_boxes(layout) == []


def test_crossings_that_can_be_avoided_are():
    boxes = dict.fromkeys(["a", "b", "c", "z", "y", "x"], BOX)
    assert crossings(arrange(boxes, [("a", "x"), ("b", "y"), ("c", "z")])) == 0


def test_boxes_of_different_sizes_do_not_overlap():
    rng = random.Random(1)
    sizes = {
        f"b{i}": Size(width=rng.uniform(60, 300), height=rng.uniform(20, 120)) for i in range(60)
    }
    arrows = [(f"b{rng.randrange(i)}", f"b{i}") for i in range(1, 60) for _ in range(2)]
    layout = arrange(sizes, arrows)
    assert overlapping(layout) == []
    assert through_boxes(layout) == []


def test_a_circle_is_refused_and_can_be_put_together_first():
    boxes = ["a", "b", "c", "d"]
    arrows = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]
    with pytest.raises(ValueError, match="circle through b, c"):
        arrange(dict.fromkeys(boxes, BOX), arrows)
    head, kept = without_cycles(boxes, arrows)
    assert head == {"a": "a", "b": "b", "c": "b", "d": "d"}
    assert kept == [("a", "b"), ("b", "d")]


@pytest.mark.parametrize("arrows", [[("a", "nowhere")], [("a", "a")]])
def test_arrows_to_nowhere_or_to_oneself_are_refused(arrows: list[tuple[str, str]]):
    with pytest.raises(ValueError, match="arrow a ->"):
        arrange({"a": BOX}, arrows)


def test_nothing_gives_an_empty_layout():
    layout = arrange({}, [])
    assert (layout.places, layout.routes) == ({}, {})


def test_three_hundred_boxes_are_placed_in_a_second():
    """A chain of 150 steps and their products with one file that all use, and a wide fan."""
    boxes = dict.fromkeys([f"b{i:03}" for i in range(300)], BOX)
    arrows = [(f"b{i:03}", f"b{i + 1:03}") for i in range(149)]
    arrows += [("b299", f"b{i:03}") for i in range(1, 150)]
    arrows += [(f"b{i:03}", "b149") for i in range(150, 299)]
    started = time.process_time()
    layout = arrange(boxes, arrows)
    assert time.process_time() - started < 1.0
    assert overlapping(layout) == []


def test_arrows_into_a_box_arrive_one_below_the_other():
    boxes = dict.fromkeys(["a", "b", "c", "t"], BOX)
    layout = arrange(boxes, [("c", "t"), ("a", "t"), ("b", "t")])
    ends = {source: layout.routes[source, "t"][-1][1] - layout.places["t"].y for source in "abc"}
    assert ends == pytest.approx({"a": 11, "b": 22, "c": 33})


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, Size], list[tuple[str, str]]]:
    n = draw(st.integers(1, 12))
    sizes = {
        f"b{i}": Size(width=draw(st.integers(20, 200)), height=draw(st.integers(10, 90)))
        for i in range(n)
    }
    pairs = [(f"b{i}", f"b{j}") for i in range(n) for j in range(i + 1, n)]
    return sizes, draw(st.lists(st.sampled_from(pairs), max_size=25)) if pairs else []


@given(graphs(), st.randoms(use_true_random=False))
def test_arrows_go_right_boxes_keep_apart_and_the_result_is_the_same_again(
    graph: tuple[dict[str, Size], list[tuple[str, str]]], rng: random.Random
):
    sizes, arrows = graph
    layout = arrange(sizes, arrows)
    assert overlapping(layout) == []
    assert through_boxes(layout) == []
    for (source, target), points in layout.routes.items():
        assert layout.places[source].column < layout.places[target].column
        xs = [x for x, _ in points]
        assert xs == sorted(xs)
        assert xs[0] < xs[-1]
    for place in layout.places.values():
        assert place.x >= 0
        assert place.y >= 0
        assert place.x + place.width <= layout.width + ROUNDING
        assert place.y + place.height <= layout.height + ROUNDING
    assert arrange(sizes, rng.sample(arrows, len(arrows))) == layout
