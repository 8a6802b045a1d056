"""A database of MLflow, which takes seconds to create."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from support.trackers import NOLOAD


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow."""
    mlflow = pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", NOLOAD, DeprecationWarning)
        patch.chdir(folder)
        mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"
