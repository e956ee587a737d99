"""Pictures of samples, and where they are kept."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swath.samples.pictures import PictureCache, classes, false_colour, fitted, grey, webp


def test_bands_nearest_to_red_green_and_blue_are_shown() -> None:
    cube = np.zeros((2, 3, 4))
    cube[:, :, 1] = np.arange(6).reshape(2, 3)  # 640 nm
    picture = false_colour(cube, [400.0, 640.0, 900.0, 1000.0])
    assert picture.shape == (2, 3, 3)
    assert picture[1, 2].tolist() == [255, 255, 0]  # 640 nm is nearest to green as well
    assert picture[0, 0].tolist() == [0, 0, 0]


def test_what_is_not_a_number_is_black_and_stretches_nothing() -> None:
    plane = np.array([[0.0, 1.0], [np.nan, np.inf]])
    assert grey(plane)[:, :, 0].tolist() == [[0, 255], [0, 0]]
    assert grey(np.full((2, 2), np.nan)).max() == 0
    assert grey(np.full((2, 2), 3.0)).max() == 0


def test_classes_have_colours_and_background_has_none() -> None:
    picture = classes(np.array([[0, 1], [2, 8]]))
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert picture[0, 1].tolist() == picture[1, 1].tolist()  # there are seven colours
    assert picture[1, 0].tolist() != picture[0, 1].tolist()


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [((100, 200), (50, 50), (25, 50)), ((10, 10), (64, 64), (10, 10)), ((1, 1000), (20, 20), (1, 20))],
)
def test_pictures_fit_and_are_never_enlarged(
    size: tuple[int, int], box: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert fitted(*size, *box) == expected


def test_webp_has_the_size_that_was_asked_for() -> None:
    image = Image.open(io.BytesIO(webp(np.full((40, 60, 3), 200, np.uint8), 20, 30)))
    assert (image.format, image.size) == ("WEBP", (30, 20))
    assert abs(int(np.asarray(image).mean()) - 200) <= 2


class TestCache:
    def test_a_picture_is_made_once_also_for_the_next_process(self, tmp_path: Path) -> None:
        made: list[int] = []

        def make() -> bytes:
            made.append(1)
            return b"picture"

        for _ in range(2):
            cache = PictureCache(tmp_path)
            assert [cache.get(("a", "image"), make) for _ in range(2)] == [b"picture"] * 2
        assert made == [1]
        assert PictureCache(tmp_path).get(("b", "image"), lambda: b"other") == b"other"

    def test_memory_and_folder_have_bounds(self, tmp_path: Path) -> None:
        cache = PictureCache(tmp_path, most_bytes=1000, most_file_bytes=5000)
        for number in range(100):
            cache.get((str(number),), lambda: bytes(100))
        assert cache._held <= 1000
        assert sum(path.stat().st_size for path in tmp_path.glob("*/*")) <= 5500

    def test_a_folder_that_cannot_be_written_only_costs_time(self, tmp_path: Path) -> None:
        cache = PictureCache(tmp_path / "pictures")
        (tmp_path / "pictures").rmdir()
        (tmp_path / "pictures").write_bytes(b"a file")
        assert cache.get(("a",), lambda: b"picture") == b"picture"

    def test_threads_share_it(self, tmp_path: Path) -> None:
        cache = PictureCache(tmp_path, most_bytes=500)
        wrong: list[bytes] = []

        def ask() -> None:
            for number in range(200):
                expected = str(number % 17).encode() * 10
                if cache.get((str(number % 17),), lambda expected=expected: expected) != expected:
                    wrong.append(expected)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
