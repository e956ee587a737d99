"""Units of wavelengths, in all their spellings, against the constants of physics."""

from __future__ import annotations

import numpy as np
import pytest

from swath.errors import DataInvalid
from swath.scenes import UNITS, parse_wavelengths
from swath.scenes.wavelengths import Stored, judged, unit_of

SPELLINGS = {
    "nm": ["nm", "NM", "Nanometers", "nanometer", "Nanometre", "nanometres", " nm "],
    "um": ["um", "µm", "μm", "Micrometers", "micrometer", "Micrometres", "micron", "Microns"],
    "Angstrom": ["Angstroms", "angstrom", "Å", "Å", "Ångström", "A"],
    "mm": ["mm", "Millimeters"],
    "cm": ["cm", "Centimeters"],
    "m": ["m", "Meters", "metres"],
    "cm-1": [
        "Wavenumber",
        "wavenumbers",
        "cm-1",
        "cm^-1",
        "cm⁻¹",
        "1/cm",
        "Wavenumber (cm-1)",
        "cm−1",
        "cm**-1",
        "kayser",
    ],
    "Hz": ["Hz", "hertz"],
    "MHz": ["MHz", "mhz"],
    "GHz": ["GHz", "ghz", "Gigahertz"],
    "THz": ["THz"],
}
TEN_THOUSAND_NM = {
    "nm": 10_000,
    "um": 10,
    "Angstrom": 100_000,
    "mm": 0.01,
    "cm": 0.001,
    "m": 1e-5,
    "cm-1": 1000,
    "Hz": 299_792_458 / 1e-5,
    "MHz": 299_792_458 / 1e-5 / 1e6,
    "GHz": 299_792_458 / 1e-5 / 1e9,
    "THz": 299_792_458 / 1e-5 / 1e12,
}


@pytest.mark.parametrize(("unit", "spelling"), [(unit, each) for unit, listed in SPELLINGS.items() for each in listed])
def test_units_are_known_by_all_spellings(unit: str, spelling: str) -> None:
    assert unit_of(spelling, name="a") == unit


@pytest.mark.parametrize("unit", UNITS)
def test_ten_micrometres_are_10000_nm_in_every_unit(unit: str) -> None:
    nm = judged(Stored([TEN_THOUSAND_NM[unit]], unit), 1, name="a")
    np.testing.assert_allclose(nm, [10_000], rtol=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("spelling", [None, "", "Unknown", "none", "N/A"])
def test_without_a_unit_numbers_from_100_are_nm_and_smaller_ones_are_asked_about(spelling: str | None) -> None:
    nm = judged(Stored([400, 700], spelling), 2, name="a")
    assert nm is not None
    assert nm.tolist() == [400, 700]
    with pytest.raises(DataInvalid, match=r"a: wavelengths of the file, 0\.4 to 0\.7, have no unit .* which unit"):
        judged(Stored([0.4, 0.7], spelling), 2, name="a")


@pytest.mark.parametrize(
    ("values", "unit"),
    [([0.4, 0.7], "nm"), ([400, 700], "um"), ([400, 700], "Angstrom")],
)
def test_units_that_no_optical_sensor_can_mean_are_asked_about(values: list[float], unit: str) -> None:
    with pytest.raises(DataInvalid, match="which unit do they have"):
        judged(Stored(values, unit), 2, name="a")
    corrected = {"nm": "um", "um": "nm", "Angstrom": "nm"}[unit]
    nm = judged(Stored(values, unit), 2, name="a", given_unit=corrected)
    np.testing.assert_allclose(nm, [400, 700])  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "unit"), [(1e10, None), (1e300, "m"), (1e-300, "cm-1"), (5e9, "nm")])
def test_wavelengths_of_metres_are_refused(value: float, unit: str | None) -> None:
    with pytest.raises(DataInvalid, match="a: wavelengths of the file"):
        judged(Stored([value], unit), 1, name="a")


def test_given_ones_replace_the_file_s_before_those_are_judged() -> None:
    nm = judged(Stored(["red", None], "furlongs"), 2, name="a", given=[0.4, 0.7], given_unit="um")
    np.testing.assert_allclose(nm, [400, 700])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("400:700:4", [400, 500, 600, 700]),
        ("700:400:2", [700, 400]),
        ("400, 500.5", [400, 500.5]),
        ("400\n500\n", [400, 500]),
        ("5:5:1", [5]),
    ],
)
def test_wavelengths_may_be_written_as_steps_or_one_by_one(text: str, values: list[float]) -> None:
    assert parse_wavelengths(text) == values


@pytest.mark.parametrize("text", ["400:700", "400:700:0", "400:700:x", "blue"])
def test_what_is_no_list_of_wavelengths_is_said(text: str) -> None:
    with pytest.raises(DataInvalid, match="wavelengths: expected START:STOP:N or numbers"):
        parse_wavelengths(text)
