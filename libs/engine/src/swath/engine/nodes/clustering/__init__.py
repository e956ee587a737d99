"""Groups of pixels with like spectra."""
