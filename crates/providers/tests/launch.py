"""Starts a pretend Proxmox VE cluster and obeys a test, one JSON line each way.

The test sends Python expressions and statements about `pve`, the cluster: what it may do stands in fakepve's own
documentation. fakepve is under the AGPL and stays a process of its own; nothing of it is part of this project.
"""
import asyncio
import hashlib
import json
import sys
import tempfile

from fakepve import FakePve
from fakepve.certs import make_cert


def lose(pve, method, suffix, times=1):
    """The cluster does what is asked, and the connection breaks before it can say so."""
    answer, left = pve._answer, [times]

    async def broken(request, *rest):
        said = await answer(request, *rest)
        if left[0] and request.method == method and request.path.endswith(suffix):
            left[0] -= 1
            request.transport.abort()
        return said

    pve._answer = broken


async def obey(pve, line):
    """Evaluates an expression, or runs statements that may leave an `answer`."""
    names = {"pve": pve, "lose": lose, "asyncio": asyncio, "answer": None}
    try:
        code = compile(line, "<test>", "eval")
    except SyntaxError:
        exec(compile(line, "<test>", "exec"), names)
        return names["answer"]
    answer = eval(code, names)
    return await answer if asyncio.iscoroutine(answer) else answer


async def main():
    pve = FakePve(host="127.0.0.1", port=0)
    with tempfile.TemporaryDirectory() as folder:
        certfile, keyfile, der = make_cert(folder, hosts=(pve.host,))
        await pve.start(certfile, keyfile)
        with open(certfile) as file:
            pem = file.read()
    print(json.dumps({"url": pve.url, "pem": pem, "fingerprint": hashlib.sha256(der).hexdigest()}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            print(json.dumps({"answer": await obey(pve, json.loads(line))}, default=str), flush=True)
        except Exception as error:  # the test is told, and fails with it
            print(json.dumps({"error": repr(error)}), flush=True)


asyncio.run(main())
