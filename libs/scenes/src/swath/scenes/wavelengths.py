"""Wavelengths: one rule for units, counts and values in every format. All end in nm."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swath.errors import DataInvalid

REPLACE = "give them as +data.params.wavelengths in training, as --wavelengths of swath infer"
"""What a user does where a file has no wavelengths, or wrong ones."""

UNIT_OPTION = "say it as +data.params.wavelength_units in training, as --wavelength-units of swath infer"
"""What a user does where nothing says their unit."""

UNITS = ("nm", "um", "Angstrom", "mm", "cm", "m", "cm-1", "Hz", "MHz", "GHz", "THz")
"""Units as they are named here; files may spell them in other ways."""

_LIGHT = 299_792_458.0  # m/s

_FACTORS = {"nm": 1.0, "um": 1e3, "Angstrom": 0.1, "mm": 1e6, "cm": 1e7, "m": 1e9}
_INVERSES = {"cm-1": 1e7, "Hz": _LIGHT * 1e9, "MHz": _LIGHT * 1e3, "GHz": _LIGHT, "THz": _LIGHT * 1e-3}

# Without accents, blanks, brackets and signs, in lower case.
_SPELLINGS = {
    "nm": "nm nanometer nanometers nanometre nanometres nano",
    "um": "um micron microns micrometer micrometers micrometre micrometres mikrometer mikron micro",
    "Angstrom": "a angstrom angstroms angstroem ang",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "m": "m meter meters metre metres",
    "cm-1": "cm1 1/cm /cm percm wavenumber wavenumbers wavenumbercm1 wavenumberscm1 wavenumber1/cm wavenumbers1/cm "
    "inversecm inversecentimeters inversecentimetres reciprocalcentimeters reciprocalcentimetres kayser kaysers",
    "Hz": "hz hertz",
    "MHz": "mhz megahertz",
    "GHz": "ghz gigahertz",
    "THz": "thz terahertz",
}
_UNITS = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_UNKNOWN = ("", "unknown", "none", "na", "n/a", "null", "unitless", "dimensionless", "1")
_INDEX = ("index", "indices", "band", "bands", "bandnumber", "bandnumbers", "channel", "channels")

# What lies beyond is in another unit: no optical sensor has it. Longer ones are those of radar, in mm, cm, m or GHz.
_SHORTEST_NM, _LONGEST_NM = 100.0, 100_000.0
_LENGTHS = ("nm", "um", "Angstrom")
_LARGEST = float(np.iinfo(np.int32).max)  # of what a batch holds, in whole nm: 2 m


@dataclass(frozen=True)
class Stored:
    """Wavelengths as a file has them, not judged yet.

    Attributes:
        values: Numbers, or texts of numbers, of any shape.
        unit: Their unit as the file spells it; None where it says nothing.
    """

    values: object
    unit: str | None = None


def unit_of(text: str | None, *, name: str) -> str | None:
    """Return a unit by any of its spellings; None for an unknown one, ``index`` for numbers of bands.

    Args:
        text: The unit as a file or a user spells it.
        name: The file, for the message.

    Raises:
        DataInvalid: It is no unit of wavelengths.
    """
    plain = _plain(text or "")
    if plain in _UNKNOWN:
        return None
    if plain in _INDEX:
        return "index"
    if plain in _UNITS:
        return _UNITS[plain]
    # "Nanometers (nm)", "Wavelength [um]"
    parts = {_UNITS[part] for part in map(_plain, re.split(r"[()\[\]]", text or "")) if part in _UNITS}
    if len(parts) != 1:
        raise DataInvalid(f"{name}: wavelength units: expected one of {', '.join(UNITS)}, got '{text}'; {UNIT_OPTION}")
    return parts.pop()


def is_of_light(text: str) -> bool:
    """Whether a text beside a number says by itself that it is a wavelength, as "nm" does; "m" and "A" do not."""
    try:
        return len(text) > 1 and unit_of(text, name="") in _LENGTHS
    except DataInvalid:
        return False


def judged(
    stored: Stored | None,
    bands: int,
    *,
    name: str,
    given: Sequence[float] | None = None,
    given_unit: str | None = None,
) -> NDArray[np.float64] | None:
    """Return the wavelengths of a scene.

    Args:
        stored: What the file has; not looked at where others are given.
        bands: Bands of the cube.
        name: The file, for messages.
        given: Wavelengths in place of the file's own.
        given_unit: Unit of those given, or of the file's own, whatever it says itself.

    Returns:
        float64 [C] in nm; None where neither the file nor the caller has any.

    Raises:
        DataInvalid: There is not one positive, finite number for each band, or their unit is unknown and cannot be nm.
    """
    chosen = Stored(list(given)) if given is not None else stored
    if chosen is None:
        return None
    whose = "given" if given is not None else "of the file"
    unit = unit_of(given_unit if given_unit is not None else chosen.unit, name=name)
    if unit == "index":
        return None
    values = _numbers(chosen.values, name)
    if values.size != bands:
        hint = "" if given is not None else f" in the file; {REPLACE}"
        raise DataInvalid(f"{name}: wavelengths: expected one for each of {bands} bands, got {values.size}{hint}")
    if not np.isfinite(values).all() or (values <= 0).any():
        wrong = values[~(np.isfinite(values) & (values > 0))][0]
        hint = "" if given is not None else f"; {REPLACE}"
        raise DataInvalid(f"{name}: wavelengths: expected positive numbers, got {wrong:g} among them{hint}")
    what = f"{name}: wavelengths {whose}, {values.min():g} to {values.max():g}"
    nm = _in_nm(values, unit, what)
    if nm.max() > _LARGEST:
        raise DataInvalid(f"{what}: expected at most {_LARGEST:g} nm, got {nm.max():g} nm; {UNIT_OPTION}")
    return nm


def parse_wavelengths(text: str) -> list[float]:
    """Return wavelengths written as ``START:STOP:N`` (N even steps, both ends within) or as numbers with commas.

    Raises:
        DataInvalid: The text is neither.
    """
    try:
        if ":" in text:
            start, stop, count = text.split(":")
            if int(count) < 1:
                raise ValueError
            return np.linspace(float(start), float(stop), int(count)).tolist()
        return [float(part) for part in text.replace(",", " ").replace(";", " ").split()]
    except ValueError:
        raise DataInvalid(f"wavelengths: expected START:STOP:N or numbers, got '{text:.80}'") from None


def _plain(text: str) -> str:
    spelled = unicodedata.normalize("NFKD", text.replace("µ", "u").replace("μ", "u").replace("−", "-"))
    kept = [each for each in spelled.lower() if each.isascii() and (each.isalnum() or each == "/")]
    return "".join(kept)


def _numbers(values: object, name: str) -> NDArray[np.float64]:
    try:
        return np.asarray(values).ravel().astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataInvalid(f"{name}: wavelengths: expected numbers, got {values!r:.80}; {REPLACE}") from error


def _in_nm(values: NDArray[np.float64], unit: str | None, what: str) -> NDArray[np.float64]:
    if unit is None:
        if values.max() < _SHORTEST_NM:
            raise DataInvalid(f"{what}, have no unit and are too small for nm: which unit do they have? {UNIT_OPTION}")
        return values
    with np.errstate(over="ignore"):
        converted = _CONVERSIONS[unit](values)
    if converted.max() < _SHORTEST_NM or (unit in _LENGTHS and converted.min() > _LONGEST_NM):
        raise DataInvalid(
            f"{what} {unit}, would be {converted.min():g} to {converted.max():g} nm: which unit do they have? "
            f"{UNIT_OPTION}"
        )
    return converted


def _times(factor: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda values: values * factor


def _over(numerator: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return lambda values: numerator / values


_CONVERSIONS = {unit: _times(factor) for unit, factor in _FACTORS.items()} | {
    unit: _over(numerator) for unit, numerator in _INVERSES.items()
}
