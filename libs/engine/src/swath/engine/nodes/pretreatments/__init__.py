"""Corrections of spectra before anything is learnt from them."""
