"""Synthetic places: what is promised of them, and distances and levels by an independent way."""

from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populations.geography import LEVELS, Geography, cold_hours, make_geography


def parameters(areas=1, regions=1, hospitals=1, centres=1, width=300.0, height=200.0):
    """What the geography of a world is made from."""
    return SimpleNamespace(
        geography=SimpleNamespace(
            areas=areas, regions=regions, hospitals=hospitals, width_nm=width, height_nm=height
        ),
        centres=SimpleNamespace(count=centres),
    )


def drawn(seed=1, **sizes) -> Geography:
    return make_geography(parameters(**sizes), np.random.default_rng(seed))


NATION = {
    "areas": 56,
    "regions": 11,
    "hospitals": 400,
    "centres": 232,
    "width": 2400.0,
    "height": 1000.0,
}


@st.composite
def sizes(draw):
    areas = draw(st.integers(1, 12))
    return {
        "areas": areas,
        "regions": draw(st.integers(1, areas)),
        "hospitals": draw(st.integers(areas, 40)),
        "centres": draw(st.integers(1, 30)),
    }


@settings(max_examples=60, deadline=None)
@given(sizes(), st.integers(0, 2**32))
def test_whatever_the_sizes_all_that_is_promised_holds(given_sizes, seed):
    places = drawn(seed, **given_sizes)
    areas, centres = given_sizes["areas"], given_sizes["centres"]
    hospitals, regions = given_sizes["hospitals"], given_sizes["regions"]
    shapes = {
        "centre_area": (centres,),
        "hospital_area": (hospitals,),
        "area_region": (areas,),
        "area_xy": (areas, 2),
        "centre_xy": (centres, 2),
        "hospital_xy": (hospitals, 2),
        "distance_nm": (hospitals, centres),
        "level": (hospitals, centres),
    }
    assert {name: getattr(places, name).shape for name in shapes} == shapes
    centres_of = np.bincount(places.centre_area, minlength=areas)
    hospitals_of = np.bincount(places.hospital_area, minlength=areas)
    areas_of = np.bincount(places.area_region, minlength=regions)
    assert np.ptp(centres_of) <= 1 and len(centres_of) == areas
    assert np.ptp(hospitals_of) <= 1 and hospitals_of.min() >= 1 and len(hospitals_of) == areas
    assert areas_of.min() >= 1 and len(areas_of) == regions
    assert np.ptp(areas_of) <= 1
    assert np.all(places.distance_nm > 0) and np.all(np.isfinite(places.distance_nm))


def test_types_are_as_promised_and_nothing_can_be_changed():
    places = drawn(**NATION)
    assert places.centre_area.dtype == places.hospital_area.dtype == np.int16
    assert places.area_region.dtype == np.int16
    assert places.distance_nm.dtype == np.float32
    assert places.level.dtype == np.int8
    with pytest.raises(ValueError, match="read-only"):
        places.distance_nm[0, 0] = 0


def test_the_same_seed_gives_the_same_places():
    one, again, other = drawn(3, **NATION), drawn(3, **NATION), drawn(4, **NATION)
    assert one.distance_nm.tobytes() == again.distance_nm.tobytes()
    assert one.distance_nm.tobytes() != other.distance_nm.tobytes()


def test_distances_and_levels_one_by_one():
    places = drawn(areas=5, regions=2, hospitals=9, centres=7)
    for hospital in range(9):
        for centre in range(7):
            (x, y), (u, v) = places.hospital_xy[hospital], places.centre_xy[centre]
            expected = ((x - u) ** 2 + (y - v) ** 2) ** 0.5
            assert places.distance_nm[hospital, centre] == pytest.approx(expected, rel=1e-6)
            here, there = places.hospital_area[hospital], places.centre_area[centre]
            if here == there:
                level = "local"
            elif places.area_region[here] == places.area_region[there]:
                level = "regional"
            else:
                level = "national"
            assert LEVELS[places.level[hospital, centre]] == level
    assert set(places.level.ravel()) == {0, 1, 2}


def test_one_area_is_all_local_and_nearby():
    places = drawn(areas=1, hospitals=7, centres=5, width=180, height=180)
    assert not places.level.any()
    assert places.distance_nm.min() > 0 and places.distance_nm.max() < 400


def test_fewer_centres_than_areas_leaves_areas_without_one():
    places = drawn(areas=12, regions=4, hospitals=24, centres=5)
    assert sorted(places.centre_area) == [0, 1, 2, 3, 4]
    assert (places.level > 0).all(axis=1).any()  # a hospital with no centre in its area


def test_distances_of_a_nation_grow_with_the_level():
    """Within an area as within an organ procurement organisation: tens of miles, not hundreds."""
    medians = np.median(
        [
            [np.median(places.distance_nm[places.level == level]) for level in range(3)]
            for places in (drawn(seed, **NATION) for seed in range(5))
        ],
        axis=0,
    )
    assert 40 < medians[0] < 100 < medians[1] < 350 < medians[2] < 1200


def test_places_lie_around_their_seat_centres_nearer():
    """Standard deviations along each axis are a half and a quarter of the radius of the area."""
    places = drawn(areas=1, hospitals=4000, centres=4000, width=180, height=180)
    radius = 180 / np.pi**0.5
    assert (places.hospital_xy - places.area_xy).std() == pytest.approx(0.5 * radius, rel=0.03)
    assert (places.centre_xy - places.area_xy).std() == pytest.approx(0.25 * radius, rel=0.03)


def test_seats_are_well_spread():
    """The nearest two of 56 seats are farther apart than at random, by far."""

    def nearest(seats):
        apart = np.hypot(*(seats[:, None] - seats).transpose(2, 0, 1))
        return apart[~np.eye(len(seats), dtype=bool)].min()

    rng = np.random.default_rng(0)
    size = [2400.0, 1000.0]
    spread = [nearest(drawn(seed, **NATION).area_xy) for seed in range(10)]
    random = [nearest(rng.random((56, 2)) * size) for _ in range(10)]
    assert min(spread) > 2 * np.median(random)


def test_seats_lie_in_the_rectangle():
    seats = drawn(**NATION).area_xy
    assert np.all(seats > 0) and np.all(seats < [2400, 1000])
    assert seats[:, 0].max() > 2000 and seats[:, 1].max() > 800


def test_regions_are_of_neighbours():
    """Areas of a region lie nearer one another than areas of different regions, on average."""
    for seed in range(5):
        places = drawn(seed, **NATION)
        apart = np.hypot(*(places.area_xy[:, None] - places.area_xy).transpose(2, 0, 1))
        same = places.area_region[:, None] == places.area_region
        np.fill_diagonal(same, False)
        assert apart[same].mean() < 0.4 * apart[~same].mean()
        nearest = np.argsort(apart, axis=1)[:, 1]
        assert (places.area_region[nearest] == places.area_region).mean() > 0.5


def test_the_nation_is_the_size_of_the_united_states():
    places = drawn(**NATION)
    assert set(np.bincount(places.area_region)) <= {4, 5, 6}
    assert set(np.bincount(places.centre_area)) == {4, 5}


# ---- the graph -----------------------------------------------------------------------------------


def test_the_graph_says_what_the_arrays_say():
    places = drawn(areas=4, regions=2, hospitals=6, centres=3)
    graph = places.graph()
    assert isinstance(graph, nx.Graph)
    kinds = nx.get_node_attributes(graph, "kind")
    count = {kind: list(kinds.values()).count(kind) for kind in set(kinds.values())}
    assert count == {"centre": 3, "hospital": 6, "area": 4, "region": 2}
    assert graph.number_of_edges() == 3 + 6 + 4 + 6 * 3
    for centre in range(3):
        place = graph.nodes[f"centre {centre}"]
        assert place["xy"] == pytest.approx(places.centre_xy[centre])
        area = f"area {places.centre_area[centre]}"
        assert graph.edges[f"centre {centre}", area] == {"kind": "membership"}
        for hospital in range(6):
            assert graph.edges[f"hospital {hospital}", f"centre {centre}"] == {
                "kind": "offer",
                "distance_nm": pytest.approx(places.distance_nm[hospital, centre]),
                "level": LEVELS[places.level[hospital, centre]],
            }
    for region in range(2):
        members = [area for area in range(4) if places.area_region[area] == region]
        node = f"region {region}"
        assert set(graph[node]) == {f"area {area}" for area in members}
        centre_of = places.area_xy[members].mean(axis=0)
        assert graph.nodes[node]["xy"] == pytest.approx(centre_of)


def test_the_graph_can_be_written_to_a_file(tmp_path):
    """Plain Python numbers and words: what a file format of networkx can hold."""
    graph = drawn(areas=3, regions=2, hospitals=4, centres=3).graph()
    nx.write_gml(graph, tmp_path / "places.gml")
    back = nx.read_gml(tmp_path / "places.gml")
    assert nx.utils.graphs_equal(
        nx.Graph(sorted(back.edges)), nx.Graph(sorted(graph.edges))
    ) and nx.get_edge_attributes(back, "level") == nx.get_edge_attributes(graph, "level")


# ---- cold ischaemia ------------------------------------------------------------------------------


def test_cold_hours_by_hand():
    """8 h before the first offer, a quarter hour an offer, 1.2 h for every 100 miles."""
    cold = SimpleNamespace(
        cold_time=SimpleNamespace(
            hours_before_offers=8.0, hours_per_offer=0.25, hours_per_100_nm=1.2
        )
    )
    assert cold_hours(cold, 0.0, 1) == 8.0
    assert cold_hours(cold, 250.0, 5) == pytest.approx(8 + 4 * 0.25 + 2.5 * 1.2)
    both = cold_hours(cold, np.array([0.0, 50.0]), np.array([3, 1]))
    assert both == pytest.approx([8.5, 8.6])
