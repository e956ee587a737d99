"""Comparison of Swath with the reference packages: node by node, pipeline by pipeline, run by run.

Two interpreters take part, each with its own packages: this one, and that of the environment which `environment` makes.
What one hands to the other goes through files (`exchange`), so neither imports the other's packages.
"""
