"""The folder of a run: its settings, and what else it belongs to."""

import dataclasses
import importlib.metadata
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from sparsenas import __version__, files, native
from sparsenas.errors import UserError
from sparsenas.latency.devices import ready_device
from sparsenas.latency.measure import MeasureSettings
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import load as load_table
from sparsenas.latency.table import save as save_table
from sparsenas.objectives import Objective
from sparsenas.progress import Update
from sparsenas.search_settings import SearchSettings
from sparsenas.space import Space
from sparsenas.train import ArchitectureSettings, CandidateSettings, NetworkSettings, SupernetSettings


def open_run(folder: Path, settings: SearchSettings) -> None:
    """Makes a run's folder; raises `UserError` where it exists."""
    try:
        # An empty one is of a start that was killed at once.
        folder.mkdir(parents=True, exist_ok=folder.is_dir() and not any(folder.iterdir()))
    except FileExistsError:
        raise UserError(
            f"The run folder {str(folder)!r} exists; give another name with --out, or go on with it: "
            f"sparsenas search --resume {folder}"
        ) from None
    except OSError as error:
        raise UserError(f"Cannot make the run folder {str(folder)!r}: {error.strerror}.") from None
    config = {
        "settings": dataclasses.asdict(settings),
        "versions": versions(),
        "machine": native.cpu(),
        "build": native.build_id(),
    }
    files.write(folder / "config.json", json.dumps(config, indent=1) + "\n")


def load_settings(folder: Path) -> SearchSettings:
    """Reads the settings of a run; raises `UserError` where the folder is not one."""
    path = folder / "config.json"
    try:
        fields = json.loads(path.read_text())["settings"]
        return SearchSettings(
            **{
                **fields,
                "baselines": tuple(fields.get("baselines", ())),
                "objectives": tuple(Objective(**one) for one in fields["objectives"]),
                "supernet": SupernetSettings(**fields["supernet"]),
                "architecture": ArchitectureSettings(**fields["architecture"]),
                "candidate": CandidateSettings(**fields.get("candidate", {})),
                "network": NetworkSettings(**fields["network"]),
                "measure": MeasureSettings(**fields["measure"]),
            }
        )
    except OSError:
        raise UserError(f"Expected a run folder with a config.json, found none in {str(folder)!r}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"Cannot read the run's settings {path}: {error}.") from None


def check_unchanged(folder: Path, facts: Mapping[str, str]) -> None:
    """Makes sure that what settings only name is what it was at the first start.

    Args:
        facts: such as a hash of the images, by what people call it.

    Raises:
        UserError: where something differs.
    """
    path = folder / "experiment.json"
    if not path.exists():
        files.write(path, json.dumps(facts, indent=1) + "\n")
        return
    try:
        before = json.loads(path.read_text())
        differing = [name for name, value in facts.items() if before.get(name) != value]
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"Cannot read {str(path)!r}: {error}.") from None
    if differing:
        raise UserError(
            f"The run {str(folder)!r} is another experiment: {' and '.join(differing)} changed since it was "
            "started. Bring back what it was started with, or start a new run."
        )


def versions() -> dict[str, str]:
    """Returns the versions that a result depends on."""
    # Not by importing them: Ray reads its variables when it is imported.
    names = ("jax", "flax", "optax", "ray", "numpy")
    return {
        "sparsenas": __version__,
        "python": sys.version.split()[0],
        **{name: importlib.metadata.version(name) for name in names},
    }


def latency_of(settings: SearchSettings, space: Space, folder: Path, update: Update) -> LatencyModel:
    """Returns the run's latency table: as it was at the first start, also where that was another machine."""
    path = folder / "latency.json"
    if not path.exists():
        found = ready_device(settings.device, space, report=lambda done, total: update(done, total, ""))
        save_table(found.table, path)
    return LatencyModel.from_table(load_table(path))
