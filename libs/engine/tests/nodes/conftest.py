"""What tests of single nodes share."""

import pytest


@pytest.fixture
def fit():
    """Fit a node to batches, given as mappings of ports, and return it."""

    def fit(node, *batches):
        node.begin_fit()
        for batch in batches:
            node.fit_batch(batch)
        node.end_fit()
        return node

    return fit


@pytest.fixture
def fit_data(fit):
    """Fit a node to batches of its port ``data``, and return it."""

    def fit_data(node, *batches):
        return fit(node, *({"data": batch} for batch in batches))

    return fit_data
