"""Scenes from files, results into files, pictures and scores of them."""
