"""The wheel holds the library alone, what it needs is pinned and explained, and it imports fast."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = [
    Requirement(line)
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for line in group
]
PINS = [
    line
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
declared = pytest.mark.parametrize("requirement", DECLARED, ids=lambda r: r.name)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in a wheel that was built here, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built).namelist()


def test_the_wheel_holds_the_library_alone(wheel: list[str]) -> None:
    info = f"{PROJECT['name']}-{PROJECT['version']}.dist-info"
    assert {name.split("/")[0] for name in wheel} == {"causalsys", info}
    assert f"{info}/licenses/LICENSE" in wheel


def test_the_wheel_is_marked_as_typed(wheel: list[str]) -> None:
    assert "causalsys/py.typed" in wheel


def test_a_constraint_is_one_public_version() -> None:
    assert [line for line in PINS if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


@declared
def test_a_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    pins = dict(line.split("==") for line in PINS)
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])


@declared
def test_a_dependency_is_explained(requirement: Requirement) -> None:
    table = (ROOT / "docs" / "dependencies.md").read_text()
    assert f"| {requirement.name} | {_range(requirement)} |" in table


def _range(requirement: Requirement) -> str:
    """The range as the table writes it: lowest bound first."""
    return ", ".join(sorted(map(str, requirement.specifier), reverse=True))


def test_importing_the_library_leaves_slow_dependencies_alone() -> None:
    slow = {"dowhy", "pgmpy", "sklearn", "matplotlib", "pandas", "networkx", "scipy", "pyarrow"}
    program = f"import sys, causalsys; print(*{slow}.intersection(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert found.stdout.split() == []
