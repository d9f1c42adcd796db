"""Tests with an argument `make` run for each kind of student in kinds.py, in the suite for two."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest


def pytest_generate_tests(metafunc):
    if "make" in metafunc.fixturenames:
        spec = importlib.util.spec_from_file_location("kinds", Path(__file__).with_name("kinds.py"))
        kinds = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(kinds)
        extended = pytest.mark.extended
        params = [
            pytest.param(make, marks=[] if make in kinds.IN_THE_SUITE else extended)
            for make in kinds.STUDENTS
        ]
        metafunc.parametrize("make", params, ids=lambda make: make.__name__)


@pytest.fixture(scope="session")
def graph_of(net):
    """graph_of(student) is its export graph, for images of 8x8x3."""
    from kd_keras.exports import classifier_graph

    return lambda student: classifier_graph.from_model(student, (8, 8, 3))


@pytest.fixture(scope="session")
def noise():
    """(100, 8, 8, 3) uint8."""
    return np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
