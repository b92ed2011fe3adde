"""Named templates of a real daemon: each job in a worker of the one it names, and none in the way of another's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import wait_until

from warmfork import Client, RequestRefused, Result, embedded
from warmfork.wire.records import TemplateInfo

# In a private root the file appears as well: the directory of the module is bound into it.
WAITS = "import os, time\nwhile not os.path.exists(os.path.join(os.path.dirname(__file__), {flag!r})):\n    time.sleep(0.01)\n"
MODULES = {
    "wf_thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,)).start()\n",
    "wf_uses_thread": "import wf_thread\n",
    "wf_waits": WAITS.format(flag="go"),
    "wf_dies": WAITS.format(flag="die") + "os._exit(3)\n",
}


class Scene:
    """A private daemon with a template of each kind.

    Attributes:
        client: of it.
        modules: directory of the modules above, and of the files that some wait for.
        venv: another interpreter's environment, with nothing installed.
    """

    def __init__(self, client: Client, modules: Path, venv: Path) -> None:
        self.client = client
        self.modules = modules
        self.venv = venv

    def status(self, name: str) -> dict[str, Any]:
        (found,) = (template for template in self.client.status()["templates"] if template["name"] == name)
        return dict(found)

    def info(self, name: str) -> TemplateInfo:
        (found,) = (template for template in self.client.hello().templates if template.name == name)
        return found

    def in_background(self, template: str) -> Callable[[], Result]:
        """Execute in a thread; what is returned waits for the result."""
        results: list[Result] = []

        def run() -> None:
            results.append(self.client.execute("print('ran')", template=template))

        thread = threading.Thread(target=run)
        thread.start()

        def join() -> Result:
            thread.join(30)
            return results[0]

        return join


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    modules = tmp_path_factory.mktemp("modules")
    modules.chmod(0o755)  # where the tests run as root, the template imports as somebody else
    for name, source in MODULES.items():
        (modules / f"{name}.py").write_text(source)
    venv = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    settings = {
        "template.rehearse": False,
        "templates.light.base": "none",
        "templates.other.base": "none",
        "templates.other.python": str(venv / "bin" / "python"),
        "templates.threads.base": "none",
        "templates.threads.preload": ["wf_uses_thread", "wf_thread", "textwrap"],
        "templates.gone.python": "/no/such/python",
        "templates.waits.base": "none",
        "templates.waits.preload": ["wf_waits"],
        "templates.dies.base": "none",
        "templates.dies.preload": ["wf_dies"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(modules))
        with embedded(workers=2, settings=settings) as client:
            yield Scene(client, modules, venv)


LOADED = "import sys; print('numpy' in sys.modules, 'matplotlib' in sys.modules, sys.prefix)"


def test_a_light_template_has_no_third_party_library(scene: Scene) -> None:
    """On base none nothing but the standard library is preloaded; the default template is as it is without others."""
    light = scene.client.execute(LOADED, template="light")
    science = scene.client.execute(LOADED)
    assert ("ok", "False False") == (light.verdict, light.stdout.rsplit(maxsplit=1)[0])
    assert ("ok", "True True") == (science.verdict, science.stdout.rsplit(maxsplit=1)[0])
    assert set() == {library.name.split(".")[0] for library in scene.info("light").libraries} - sys.stdlib_module_names


def test_light_code_runs_whole(scene: Scene) -> None:
    """Values, files, stdin and errors work in a template that has no library to draw with."""
    code = "import statistics\nopen('out', 'w').write(input() + str(statistics.mean(values)))\n1 / 0\n"
    result = scene.client.execute(code, template="light", variables={"values": [1, 2, 3]}, stdin="mean ")
    assert ("error", {"out": b"mean 2"}) == (result.verdict, dict(result.files))
    assert result.error is not None
    assert ("ZeroDivisionError", 3) == (result.error.type, result.error.line)


def test_another_interpreter_needs_nothing_installed(scene: Scene) -> None:
    """A bare virtual environment runs jobs: what a template needs is brought along, and none of our libraries is."""
    result = scene.client.execute(
        "import sys, importlib.util as u\nprint(sys.prefix, value, u.find_spec('numpy'))",
        template="other",
        variables={"value": {"a": [1, 2.5, b"x"]}},
        policy="off",
    )
    assert ("ok", f"{scene.venv} {{'a': [1, 2.5, b'x']}} None\n") == (result.verdict, result.stdout)


def test_a_library_that_starts_threads_is_left_out(scene: Scene) -> None:
    """It is reported as that library's error, whoever imports it, and the template runs without it."""
    result = scene.client.execute(
        "import sys; print('wf_thread' in sys.modules, 'textwrap' in sys.modules)", template="threads"
    )
    assert ("ok", "False True\n") == (result.verdict, result.stdout)
    status = scene.status("threads")
    assert (["wf_uses_thread", "wf_thread"], "ready", 3) == (status["left_out"], status["state"], status["starts"])
    errors = {library.name: library.error for library in scene.info("threads").libraries if library.error}
    assert {"wf_uses_thread", "wf_thread"} == set(errors)
    assert all("starts threads" in error for error in errors.values())


def test_an_unknown_template_is_refused(scene: Scene) -> None:
    """The refusal names all that there are."""
    with pytest.raises(RequestRefused, match="science, light, other, threads, gone, waits, dies") as caught:
        scene.client.execute("1", template="quantum")
    assert "unknown_template" == caught.value.code


def test_a_template_that_cannot_start_rejects_its_jobs(scene: Scene) -> None:
    """Its jobs are rejected unrun with the reason and a time to retry; status says the same; others are not touched."""
    wait_until(lambda: scene.status("gone")["state"] == "failed", "the start has failed")
    result = scene.client.execute("print(1)", template="gone")
    assert ("rejected", True) == (result.verdict, result.retry_safe)
    assert result.error is not None
    assert "TemplateDown" == result.error.type
    assert "/no/such/python" in result.error.message
    assert (result.retry_after_s or 0) >= 1
    assert "No such file" in scene.status("gone")["problem"]
    assert "failed" == scene.info("gone").state
    assert "ok" == scene.client.execute("print(1)").verdict


def test_a_starting_template_is_in_nobodys_way(scene: Scene) -> None:
    """Jobs of a template that is not ready wait; others, submitted after them, run; once it is ready theirs do."""
    waiting = [scene.in_background("waits") for _ in range(3)]
    wait_until(lambda: scene.client.status()["queue"]["jobs"] == 3, "three jobs wait")
    assert "starting" == scene.status("waits")["state"]
    assert "starting" == scene.info("waits").state
    for template in ("science", "light", "science"):
        assert "ok" == scene.client.execute("print(1)", template=template, deadline_s=10).verdict
    assert 3 == scene.client.status()["queue"]["jobs"]
    (scene.modules / "go").write_text("")
    assert [("ok", "ran\n")] * 3 == [(result.verdict, result.stdout) for result in (join() for join in waiting)]


def test_jobs_that_wait_for_a_failing_start_are_rejected(scene: Scene) -> None:
    """When a template ends before it is ready, its queued jobs are answered at once and say why."""
    waiting = scene.in_background("dies")
    wait_until(lambda: scene.client.status()["queue"]["jobs"] == 1, "the job waits")
    (scene.modules / "die").write_text("")
    result = waiting()
    assert "rejected" == result.verdict
    assert result.error is not None
    assert "status 3" in result.error.message


def test_the_death_of_one_is_its_own(scene: Scene) -> None:
    """A template that is killed takes its running job with it and comes back; jobs of others go on."""
    before = scene.status("light")
    killed: list[Result] = []
    other: list[Result] = []
    calls = [
        threading.Thread(target=lambda: killed.append(scene.client.execute("while True: pass", template="light"))),
        threading.Thread(target=lambda: other.append(scene.client.execute("while True: pass", timeout_s=2.0))),
    ]
    for call in calls:
        call.start()
    wait_until(
        lambda: {"science", "light"} == {job["template"] for job in scene.client.status()["running"]}, "both run"
    )
    os.kill(before["pid"], signal.SIGKILL)
    for call in calls:
        call.join(30)
    assert ["lost", "timeout"] == [result.verdict for result in killed + other]
    assert "ok" == scene.client.execute("print(1)", template="light").verdict
    after = scene.status("light")
    assert (before["starts"] + 1, "ready") == (after["starts"], after["state"])
    assert before["pid"] != after["pid"]
    assert 1 == scene.status("science")["starts"]


def test_a_restarting_template_is_in_nobodys_way(scene: Scene) -> None:
    """Jobs of a template that was ready and died wait for the next one; others, submitted after them, run meanwhile."""
    (scene.modules / "go").write_text("")
    wait_until(lambda: scene.status("waits")["state"] == "ready", "it is ready")
    (scene.modules / "go").unlink()
    os.kill(scene.status("waits")["pid"], signal.SIGKILL)
    wait_until(lambda: scene.status("waits")["state"] == "starting", "it is started again")
    waiting = scene.in_background("waits")
    wait_until(lambda: scene.client.status()["queue"]["jobs"] == 1, "the job waits")
    for template in ("science", "light"):
        assert "ok" == scene.client.execute("print(1)", template=template, deadline_s=10).verdict
    assert 1 == scene.client.status()["queue"]["jobs"]
    (scene.modules / "go").write_text("")
    assert "ok" == waiting().verdict
