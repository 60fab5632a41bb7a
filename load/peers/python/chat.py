"""A visitor and an agent on a running Deskbell, with the library `websockets`: a starting point for scripts of your own.

It waits for each message. More than 20 at once want a server with `limits.writes_per_second` raised: people write more slowly.

    pip install websockets
    deskbell token --project ID --kind visitor > visitor.txt
    deskbell token --project ID --kind agent --agent ID > agent.txt
    python load/peers/python/chat.py ws://127.0.0.1:8080/v1/ws visitor.txt agent.txt --messages 20
"""

import argparse
import asyncio
import itertools
import json
import statistics
import time

import websockets


class Session:
    """One socket: commands with numbers, answers by number, entries in a queue."""

    def __init__(self, socket):
        self.socket, self.numbers, self.answers, self.entries = socket, itertools.count(1), {}, asyncio.Queue()
        self.reading = asyncio.create_task(self.read())

    @classmethod
    async def connect(cls, url, token):
        session = cls(await websockets.connect(url, subprotocols=["deskbell.v1"], compression=None))
        await session.ask("connect", token=token)
        return session

    async def read(self):
        async for frame in self.socket:
            for line in frame.splitlines():
                message = json.loads(line)
                if message["type"] in ("ok", "error") and message.get("id") in self.answers:
                    self.answers.pop(message["id"]).set_result(message)
                elif message["type"] == "entry":
                    self.entries.put_nowait(message)
                elif message["type"] == "ping":
                    await self.socket.send('{"type":"pong"}')

    async def ask(self, command, **fields):
        number = next(self.numbers)
        answer = self.answers[number] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"type": command, "id": number, **fields}))
        answer = await asyncio.wait_for(answer, 30)
        if answer["type"] == "error":
            raise RuntimeError(f"{command} was refused: {answer['code']}")
        return answer


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("visitor", type=argparse.FileType())
    parser.add_argument("agent", type=argparse.FileType())
    parser.add_argument("--messages", type=int, default=20)
    options = parser.parse_args()

    visitor = await Session.connect(options.url, options.visitor.readline().strip())
    agent = await Session.connect(options.url, options.agent.readline().strip())
    # A new key each time this runs: the same one would give the same conversation.
    opened = await visitor.ask("open", key=f"open-{time.time_ns()}", body={"text": "Hello"})
    conversation = opened["conversation"]
    await agent.ask("watch", conversation=conversation)

    acknowledged, seen = [], set()
    for number in range(options.messages):
        began = time.perf_counter()
        sent = await visitor.ask("send", conversation=conversation, key=f"v-{number}", body={"text": f"Message {number}"})
        acknowledged.append(time.perf_counter() - began)
        while sent["seq"] not in seen:
            entry = await asyncio.wait_for(agent.entries.get(), 30)
            seen.add(entry["seq"])
    print(f"{options.messages} messages acknowledged and delivered, ack p50 {1000 * statistics.median(acknowledged):.2f} ms")
    for session in (visitor, agent):
        await session.socket.close()


asyncio.run(main())
