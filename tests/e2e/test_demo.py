import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.demo import run as demo
from local.demo.screen import Screen
from local.demo.stage import Stage
from local.embedded import ROOT

COMMAND = [sys.executable, "-m", "local.demo"]
STEPS = ["Install", "Create", "Add a route table", "Drift", "Replace", "An update that fails", "Delete", "Uninstall"]


def start(directory: Path) -> "subprocess.Popen[str]":
    """Start the demo as make does; whatever it starts can be told by its TMPDIR."""
    environment = {**os.environ, "TMPDIR": str(directory)}
    return subprocess.Popen(  # noqa: S603 - this interpreter
        COMMAND, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def left_alive(directory: Path) -> list[str]:
    """Return the commands of the processes, as /proc shows them, with the directory in their environment or command."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            texts = [(process / name).read_bytes() for name in ("environ", "cmdline")]
        except OSError:  # it has ended meanwhile
            continue
        if any(str(directory).encode() in text for text in texts):
            found.append(texts[1].replace(b"\0", b" ").decode())
    return found


def test_demo_tells_the_whole_life_and_leaves_nothing(tmp_path: Path) -> None:
    """The first command of a newcomer: every step is shown and holds, plain in a pipe, within 100 columns."""
    with start(tmp_path) as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in out
    titles = [line for line in lines if line[:1].isdigit()]
    assert len(titles) == len(STEPS)
    assert all(step in title for step, title in zip(STEPS, titles, strict=True))
    assert "✗" not in out
    assert "Every step held" in out
    assert not left_alive(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("moment", ["Install", "Create"])
def test_interrupted_demo_leaves_no_process(tmp_path: Path, moment: str) -> None:
    """Ctrl-C while sam or the function works: one clear line, 130, and nothing goes on."""
    with start(tmp_path) as process:
        assert process.stdout
        while moment not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, len(err.splitlines())) == (130, 1)
    assert err.startswith("Interrupted")
    assert not left_alive(tmp_path)
    assert not list(tmp_path.iterdir())


def test_step_that_does_not_hold_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A demo that ends well whatever happens would prove nothing."""

    def tell(screen: Screen, _directory: Path) -> None:
        stage = Stage.__new__(Stage)
        stage.screen, stage.number, stage.title = screen, 3, "Replace"
        stage.check({"the sky is blue": True, "no route was lost": False})

    monkeypatch.setattr(demo, "_tell", tell)
    assert demo.run() == 1
    out = capsys.readouterr().out
    assert "✓ the sky is blue" in out
    assert "✗ does not hold: no route was lost" in out
    assert "Step 3 (Replace) does not hold" in out
