"""`python -m release`: refuses, or builds, checks and puts into dist/. With `--anyway` it refuses nothing."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from release.clean import Faulty, installed, ran, speaks, tests_collect
from release.contents import sdist_faults, wheel_faults
from release.refusals import refusals
from spark_control import __version__

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"


def main(arguments: Sequence[str]) -> int:
    """Its exit status."""
    anyway = list(arguments) == ["--anyway"]
    reasons = [] if anyway else list(_refusals())
    for reason in reasons:
        print(f"Not released. {reason}", file=sys.stderr)
    if reasons:
        return 1
    try:
        with tempfile.TemporaryDirectory(prefix="release-") as name:
            built = _built(Path(name))
    except Faulty as exc:
        print(f"Not fit to be released. {exc}", file=sys.stderr)
        return 1
    for file in built:
        print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(ROOT)}")
    if not anyway:
        print(f"Next: git tag -a v{__version__} -m v{__version__} && git push origin v{__version__}")
    return 0


def sources() -> list[str]:
    """The files that a source distribution is made of: those of the repository, and what is new beside them."""
    listed = ran("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", folder=ROOT)
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def _refusals() -> list[str]:
    changed = ran("git", "status", "--porcelain", folder=ROOT).splitlines()
    tags = ran("git", "tag", "--list", folder=ROOT).split()
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return list(refusals(__version__, changelog, [line[3:] for line in changed], tags))


def _built(folder: Path) -> list[Path]:
    """The files in dist/, once they have passed; they are there only then."""
    _step("Building the source distribution, and the wheel from it")
    ran(sys.executable, "-m", "build", "--outdir", folder / "built", ROOT, folder=folder)
    [sdist], [wheel] = (folder / "built").glob("*.tar.gz"), (folder / "built").glob("*.whl")
    _step("Their contents")
    faults = [*wheel_faults(wheel, sources()), *sdist_faults(sdist, sources())]
    if faults:
        raise Faulty("\n".join(faults))
    ran(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist, folder=folder)
    _step("The wheel in an environment of its own")
    speaks(installed(wheel, folder), __version__, folder)
    _step("The tests in the source distribution")
    (folder / "unpacked").mkdir()
    print(f"  {tests_collect(sdist, folder / 'unpacked')} are found", file=sys.stderr)
    DIST.mkdir(exist_ok=True)
    return [Path(shutil.copy(file, DIST)) for file in (sdist, wheel)]


def _step(what: str) -> None:
    print(f"{what} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
