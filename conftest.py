"""What every test can use."""

pytest_plugins = ["swath_suite.testing"]
