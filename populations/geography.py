"""Where kidneys are recovered and transplanted: synthetic places, their areas and distances."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from populations.parameters import Parameters

Floats = NDArray[np.float64]

LEVELS: tuple[str, ...] = ("local", "regional", "national")

# All three are assumptions: no coordinates of real hospitals are shipped.
_TRIES = 20  # points among which each seat is the one farthest from the others
_HOSPITAL_SPREAD = 0.5  # standard deviation around the seat, in radii of an area, along each axis
_CENTRE_SPREAD = 0.25  # centres lie in the large towns, hospitals all over the area


@dataclass(frozen=True)
class Geography:
    """Centres and donor hospitals in areas (as of a procurement organisation), those in regions.

    Parameters
    ----------
    centre_area, hospital_area : ndarray of int16, shape (C,), (H,)
    area_region : ndarray of int16, shape (A,)
    area_xy, centre_xy, hospital_xy : ndarray, shape (A, 2), (C, 2), (H, 2)
        Nautical miles from a corner; ``area_xy`` are the seats of the areas.
    distance_nm : ndarray of float32, shape (H, C)
        From each donor hospital to each centre, nautical miles.
    level : ndarray of int8, shape (H, C)
        Index into ``LEVELS``: 0 the same area, 1 another area of the region, 2 elsewhere.
    """

    centre_area: NDArray[np.int16]
    hospital_area: NDArray[np.int16]
    area_region: NDArray[np.int16]
    area_xy: Floats
    centre_xy: Floats
    hospital_xy: Floats
    distance_nm: NDArray[np.float32]
    level: NDArray[np.int8]

    def graph(self) -> Any:
        """The places as a ``networkx.Graph``, to be plotted or analysed.

        Nodes ``"centre 0"``, ``"hospital 0"``, ``"area 0"``, ``"region 0"`` ... with ``kind`` and
        ``xy`` (a region's: the mean of its areas'). Edges of kind ``"membership"`` join a place to
        its area and an area to its region; edges of kind ``"offer"`` join every hospital to every
        centre, with ``distance_nm`` and ``level`` (in words).
        """
        import networkx as nx

        graph = nx.Graph()
        for kind, places in (
            ("centre", self.centre_xy),
            ("hospital", self.hospital_xy),
            ("area", self.area_xy),
            ("region", _means(self.area_xy, self.area_region)),
        ):
            for number, xy in enumerate(places.tolist()):
                graph.add_node(f"{kind} {number}", kind=kind, xy=tuple(xy))
        for kind, parent, members in (
            ("centre", "area", self.centre_area),
            ("hospital", "area", self.hospital_area),
            ("area", "region", self.area_region),
        ):
            for number, whole in enumerate(members.tolist()):
                graph.add_edge(f"{kind} {number}", f"{parent} {whole}", kind="membership")
        for (hospital, centre), level in np.ndenumerate(self.level):
            graph.add_edge(
                f"hospital {hospital}",
                f"centre {centre}",
                kind="offer",
                distance_nm=float(self.distance_nm[hospital, centre]),
                level=LEVELS[level],
            )
        return graph


def make_geography(parameters: Parameters, rng: np.random.Generator) -> Geography:
    """Draw the places of a world; all are synthetic.

    Seats of areas lie in the rectangle of ``geography.width_nm`` by ``height_nm``, each the one of
    20 random points that is farthest from the seats before it. Halving the map again and again
    gives regions of neighbouring areas, of equal numbers as nearly as can be. Centres and
    hospitals are dealt to the areas in turn, so that numbers differ by one at most and, where
    there are fewer than areas, those that have one are well spread. They lie around their seat,
    normally along each axis, the centres nearer it; a few may lie outside the rectangle.
    """
    given = parameters.geography
    size = np.array([given.width_nm, given.height_nm])
    seats = _seats(given.areas, size, rng)
    radius = np.sqrt(size.prod() / given.areas / np.pi)
    area_region = _regions(seats, given.regions)
    hospital_area = (np.arange(given.hospitals) % given.areas).astype(np.int16)
    centre_area = (np.arange(parameters.centres.count) % given.areas).astype(np.int16)
    hospital_xy = seats[hospital_area] + rng.normal(
        0, _HOSPITAL_SPREAD * radius, (given.hospitals, 2)
    )
    centre_xy = seats[centre_area] + rng.normal(0, _CENTRE_SPREAD * radius, (len(centre_area), 2))
    apart = hospital_xy[:, None] - centre_xy
    elsewhere = hospital_area[:, None] != centre_area
    far = area_region[hospital_area][:, None] != area_region[centre_area]
    geography = Geography(
        centre_area=centre_area,
        hospital_area=hospital_area,
        area_region=area_region,
        area_xy=seats,
        centre_xy=centre_xy,
        hospital_xy=hospital_xy,
        distance_nm=np.hypot(apart[..., 0], apart[..., 1]).astype(np.float32),
        level=elsewhere.astype(np.int8) + far.astype(np.int8),
    )
    for field in fields(geography):
        getattr(geography, field.name).setflags(write=False)
    return geography


def cold_hours(parameters: Parameters, distance_nm: Any, offers: Any) -> Any:
    """Cold ischaemia, hours, of a kidney accepted at its ``offers``-th offer (the first is 1)."""
    cold = parameters.cold_time
    waited = cold.hours_before_offers + cold.hours_per_offer * (offers - 1)
    return waited + cold.hours_per_100_nm * distance_nm / 100


def _seats(areas: int, size: Floats, rng: np.random.Generator) -> Floats:
    """Best-candidate sampling (Mitchell 1991): any first few of the points are well spread too."""
    points = rng.random((areas, _TRIES, 2)) * size
    seats = points[:, 0].copy()
    for area in range(1, areas):
        apart = points[area][:, None] - seats[:area]
        seats[area] = points[area][np.argmax((apart**2).sum(axis=2).min(axis=1))]
    return seats


def _regions(seats: Floats, regions: int) -> NDArray[np.int16]:
    """Region of each area: cut the map across its longer side, and each part again."""
    region = np.zeros(len(seats), np.int16)
    parts = [(np.arange(len(seats)), 0, regions)]
    while parts:
        areas, first, count = parts.pop()
        if count == 1:
            region[areas] = first
            continue
        axis = np.argmax(np.ptp(seats[areas], axis=0))
        areas = areas[np.argsort(seats[areas, axis], kind="stable")]
        low = count // 2
        cut = round(len(areas) * low / count)
        parts += [(areas[:cut], first, low), (areas[cut:], first + low, count - low)]
    return region


def _means(xy: Floats, group: NDArray[np.int16]) -> Floats:
    """Mean place of each group, in order of their numbers."""
    return np.array([xy[group == number].mean(axis=0) for number in range(group.max() + 1)])
