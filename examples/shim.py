"""``AsyncCodeExecutor``: the earlier interface over warmfork. A running daemon is used, else a private one."""

import asyncio
import base64
from pathlib import Path
from tempfile import TemporaryDirectory

from warmfork.compat import AsyncCodeExecutor

CODE = """
plt.bar(list(sales), list(sales.values()))
plt.title("销售额 Sales")
print("total", sum(sales.values()))
print("password=hunter2")
open("note.txt", "w").write("kept in the working directory")
"""


async def main() -> None:
    with TemporaryDirectory() as directory:
        executor = AsyncCodeExecutor(working_dir=directory, timeout=30)
        executor.set_variable("sales", {"pen": 12, "book": 7})
        answer = await executor.execute(CODE)
        print(answer["stdout"], end="")
        print("error:", answer["error"], "| stderr:", repr(answer["stderr"]))
        print("chart:", base64.b64decode(answer["chart_base64"])[:8])
        print("note.txt:", (Path(directory) / "note.txt").read_text())

        answer = await executor.execute("while True: pass", timeout=1)
        print(answer["stderr"])


asyncio.run(main())
