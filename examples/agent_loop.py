"""Generate, run, read the verdict, fix, run again. The model is a stub: a list of scripts, each less wrong."""

from warmfork import Result, embedded

DRAFTS = [
    "import matplotlib.pyplot as plt\nplt.plot(sale)\n",  # a name that does not exist
    "import subprocess\nsubprocess.run(['ls'])\n",  # not allowed here
    "while True:\n    pass\n",  # never ends
    "import matplotlib.pyplot as plt\nplt.plot(sales)\nplt.title('Sales 销售额')\n",
]


def model(task: str, feedback: list[str]) -> str:
    """What a language model would answer to the task and everything it was told so far."""
    return DRAFTS[len(feedback)]


def feedback_on(result: Result) -> str:
    """One paragraph that a model can act on."""
    assert result.error is not None
    where = f" (line {result.error.line})" if result.error.line else ""
    return f"{result.verdict}: {result.error.type}: {result.error.message}{where}"


with embedded(workers=1) as client:
    feedback: list[str] = []
    while len(feedback) < len(DRAFTS):
        result = client.execute(model("plot the sales", feedback), variables={"sales": [3, 1, 4]}, timeout_s=2)
        if result.ok and result.charts:
            print(f"attempt {len(feedback) + 1}: ok, {len(result.charts)} chart, {result.charts[0].title!r}")
            break
        if result.verdict in ("rejected", "lost", "cancelled"):
            raise SystemExit(f"not the code's fault: {result.verdict}")  # wait or retry; do not ask the model
        feedback.append(feedback_on(result))
        print(f"attempt {len(feedback)}: {feedback[-1]}")
