"""Measurements of Swath against floors and peers, each taken in the same run."""
