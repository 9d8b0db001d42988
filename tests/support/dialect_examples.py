"""How people use the five dialects, as they would write it: calls of curl, and small clients in Python and JavaScript.

    argv = example("invoke", "socket").argv(base_url, agent="demo", token=token)
    lines of its standard output, each JSON: an update as it came, at the end {"end": <how it ended>, ...}

A curl call prints the server's reply instead. Calls that ask after a request need its `id_` (a job's is `workflow_<request id>`).
Node runs with --experimental-eventsource, for it has no EventSource otherwise. Give programs an environment without proxies.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

Language = Literal["curl", "python", "node"]


class Example(NamedTuple):
    """One call or one client. In `words`, <base>, <id>, <agent> and <token> stand for what `argv` is given."""

    dialect: str
    name: str
    language: Language
    words: Sequence[str]

    @property
    def needs_id(self) -> bool:
        """Whether it asks after a request that is there."""
        return any("<id>" in word for word in self.words)

    def argv(
        self, base_url: str, *, id_: str = "", agent: str = "demo", token: str = "none", node: str = "node"
    ) -> list[str]:
        """The command. `base_url` has no slash at its end."""
        given = {"<base>": base_url, "<id>": id_, "<agent>": agent, "<token>": token}
        words = list(self.words)
        for placeholder, value in given.items():
            words = [word.replace(placeholder, value) for word in words]
        match self.language:
            case "curl":
                return ["curl", "--silent", "--show-error", "--max-time", "60", *words]
            case "python":
                return [sys.executable, "-c", *words, base_url, agent, token]
            case "node":
                flags = ["--no-warnings", "--experimental-eventsource", "--input-type=module"]
                return [node, *flags, "-e", *words, base_url, agent, token]


JSON = ("-H", "Content-Type: application/json")
BEARER = ("-H", "Authorization: Bearer <token>")


def _post(dialect: str, name: str, path: str, body: dict[str, Any], *more: str) -> Example:
    return Example(
        dialect, name, "curl", ("-X", "POST", f"<base>{path}", *JSON, *BEARER, "-d", json.dumps(body), *more)
    )


def _get(dialect: str, name: str, path: str, *more: str) -> Example:
    return Example(dialect, name, "curl", (f"<base>{path}", *BEARER, *more))


CURL: Sequence[Example] = (
    _post("async_chat", "start", "/api/chat/async", {
        "agent_id": "<agent>", "message": "Make a plan that looks through my mail", "chat_history": [],
    }),
    _get("async_chat", "status", "/api/chat/async/<id>/status"),
    Example("async_chat", "delete", "curl", ("-X", "DELETE", "<base>/api/chat/async/<id>", *BEARER)),
    _post("workflow_jobs", "send-async", "/ai-demo/chat/send", {
        "message": "write an invoice", "session_id": "test-123", "async": True, "actions": True,
    }),
    _post("workflow_jobs", "send", "/ai-demo/chat/send", {"message": "hello"}),
    _get("workflow_jobs", "stream", "/ai-demo/workflow/stream/<id>", "-N"),
    _get("workflow_jobs", "status", "/ai-demo/workflow/status/<id>"),
    _post("chat_tasks", "send-async", "/chat/?async_mode=true", {"message": "Hello"}),
    _post("chat_tasks", "send", "/chat/", {"message": "Hello", "session_id": "session_123"}),
    _get("chat_tasks", "task", "/chat/task/<id>"),
    _post("invoke", "invoke", "/invoke_endpoint", {
        "agent_id": "<agent>", "messages": [{"role": "user", "content": "What is a qubit?"}],
    }),
    _post("invoke", "api-invoke", "/api/invoke_endpoint", {
        "agent_id": "<agent>", "messages": [{"role": "user", "content": "What is a qubit?"}],
    }),
    _get("invoke", "status", "/api/requests/<id>/status"),
    _post("workflow_stream", "stream", "/api/workflows/execute/stream", {
        "deployment_name": "<agent>", "query": "Your question",
        "chat_history": [{"actor": "user", "content": "Before"}, {"actor": "assistant", "content": "Indeed"}],
        "runtime_overrides": {},
    }, "-N"),
)  # fmt: skip

_PYTHON = """
import json, sys, time
import requests
base, agent, token = sys.argv[1:]
session = requests.Session()
session.headers["Authorization"] = f"Bearer {token}"
def say(**what): print(json.dumps(what), flush=True)
"""

_NODE = """
const [base, agent, token] = process.argv.slice(1);
const headers = {"Content-Type": "application/json", Authorization: `Bearer ${token}`};
const say = (what) => console.log(JSON.stringify(what));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const post = async (path, body) => {
  const reply = await fetch(base + path, {method: "POST", headers, body: JSON.stringify(body)});
  if (!reply.ok) throw new Error(`${reply.status} ${await reply.text()}`);
  return reply;
};
const get = async (url) => (await fetch(url, {headers})).json();
"""


def _python(dialect: str, name: str, text: str) -> Example:
    return Example(dialect, name, "python", (_PYTHON + text,))


def _node(dialect: str, name: str, text: str) -> Example:
    return Example(dialect, name, "node", (_NODE + text,))


PYTHON: Sequence[Example] = (
    _python("workflow_stream", "iter-lines", """
body = {"deployment_name": agent, "query": "How is the weather?", "chat_history": [
    {"actor": "user", "content": "Hello"}, {"actor": "assistant", "content": "Hi! What can I do for you?"}]}
reply = session.post(f"{base}/api/workflows/execute/stream", json=body, stream=True)
reply.raise_for_status()
text = ""
for line in reply.iter_lines(decode_unicode=True):
    if not line.startswith("data: "):
        continue
    chunk = json.loads(line[len("data: "):])
    say(update=chunk)
    if chunk.get("status") == "completed":
        say(end="completed", text=text)
        break
    if chunk.get("status") == "error":
        say(end="error", error=chunk.get("error"))
        break
    text = chunk["data"] if chunk.get("status") == "started" else text + chunk["data"]
"""),
    _python("chat_tasks", "poll", """
began = session.post(f"{base}/chat/", params={"async_mode": "true"}, json={"message": "Hello", "session_id": "session_123"})
began.raise_for_status()
task_id = began.json()["task_id"]
while True:
    state = session.get(f"{base}/chat/task/{task_id}").json()
    say(update=state)
    if state["status"] in ("SUCCESS", "FAILURE"):
        break
    time.sleep(0.1)
say(end=state["status"], id=task_id, text=(state["result"] or {}).get("message"), error=state["error"])
"""),
    _python("async_chat", "poll", """
began = session.post(f"{base}/api/chat/async", json={"agent_id": agent, "message": "Sort my mail", "chat_history": []})
began.raise_for_status()
chat_id = began.json()["chat_id"]
while True:
    state = session.get(f"{base}/api/chat/async/{chat_id}/status").json()
    say(update=state)
    if state["status"] in ("completed", "failed"):
        break
    time.sleep(0.1)
say(end=state["status"], id=chat_id, text=(state["result"] or {}).get("message"), error=state["error"])
"""),
)  # fmt: skip

NODE: Sequence[Example] = (
    _node("workflow_jobs", "event-source", """
const reply = await post("/ai-demo/chat/send", {message: "write an invoice", session_id: "session-123", async: true,
  actions: true, memory: true, intelligent_rag: true});
const job = await reply.json();
// An EventSource sends no headers: this is for a server that asks for no token.
const source = new EventSource(job.stream_url);
source.onmessage = (event) => {
  const update = JSON.parse(event.data);
  say({update});
  if (update.status === "completed") { say({end: "completed", id: job.job_id, text: update.response}); source.close(); }
  else if (update.status === "failed") { say({end: "failed", id: job.job_id, error: update.error}); source.close(); }
};
"""),
    _node("workflow_jobs", "fetch-reader", """
const reply = await post("/ai-demo/chat/send", {message: "write an invoice", session_id: "session-123", async: true});
const job = await reply.json();
const stream = (await fetch(job.stream_url, {headers})).body.pipeThrough(new TextDecoderStream());
let rest = "", last = null;
for await (const piece of stream) {
  const lines = (rest + piece).split("\\n");
  rest = lines.pop();
  for (const line of lines) if (line.startsWith("data: ")) { last = JSON.parse(line.slice(6)); say({update: last}); }
}
say({end: last.status, id: job.job_id, text: last.response, error: last.error});
"""),
    _node("workflow_jobs", "poll", """
const job = await (await post("/ai-demo/chat/send", {message: "write an invoice", async: true})).json();
for (;;) {
  const {data} = await get(job.status_url);
  say({update: data});
  if (data.status === "completed" || data.status === "failed") {
    say({end: data.status, id: job.job_id, text: data.response, error: data.error});
    break;
  }
  await sleep(100);
}
"""),
    _node("workflow_jobs", "answer-at-once", """
const reply = await (await post("/ai-demo/chat/send", {message: "hello"})).json();
say({end: reply.success ? "completed" : "failed", text: reply.response, actions: reply.actions, sources: reply.sources});
"""),
    _node("chat_tasks", "poll", """
const send = async (data, asynchronous) =>
  ({data: await (await post(`/chat/${asynchronous ? "?async_mode=true" : ""}`, data)).json()});
const response = await send({message: "I need a haircut", session_id: "session_123"}, true);
const taskId = response.data.task_id;
for (;;) {
  const task = await get(`${base}/chat/task/${taskId}`);
  say({update: task});
  if (task.status === "SUCCESS") { say({end: "SUCCESS", id: taskId, text: task.result.message}); break; }
  if (task.status === "FAILURE") { say({end: "FAILURE", id: taskId, error: task.error}); break; }
  await sleep(100);
}
"""),
    _node("async_chat", "poll", """
const began = await (await post("/api/chat/async", {agent_id: agent, message: "Sort my mail", chat_history: []})).json();
for (;;) {
  const state = await get(`${base}/api/chat/async/${began.chat_id}/status`);
  say({update: state});
  if (state.status === "completed" || state.status === "failed") {
    say({end: state.status, id: began.chat_id, text: state.result?.message, error: state.error});
    break;
  }
  await sleep(100);
}
"""),
    _node("invoke", "poll", """
const messages = [{role: "user", content: "What is a qubit?"}];
const {request_id} = await (await post("/api/invoke_endpoint", {messages, agent_id: agent})).json();
let partial = "";
const interval = setInterval(async () => {
  const status = await get(`${base}/api/requests/${request_id}/status`);
  say({update: status});
  if (status.status === "completed") {
    clearInterval(interval);
    say({end: "completed", id: request_id, text: status.final_response, traceId: status.trace_id});
    process.exit(0);
  } else if (status.status === "streaming") partial = status.partial_content;
}, 100);
"""),
    _node("invoke", "socket", """
const messages = [{role: "user", content: "What is a qubit?"}];
const {request_id} = await (await post("/invoke_endpoint", {messages, agent_id: agent})).json();
const ws = new WebSocket(`${base.replace(/^http/, "ws")}/requests/${request_id}/stream`);
ws.onmessage = (event) => {
  const data = JSON.parse(event.data);
  say({update: data});
  if (data.status === "completed") {
    say({end: "completed", id: request_id, text: data.final_response});
    ws.close();
  }
};
"""),
    _node("workflow_stream", "fetch-reader", """
const response = await post("/api/workflows/execute/stream", {deployment_name: agent, query: "How is the weather?",
  chat_history: []});
const reader = response.body.getReader();
const decoder = new TextDecoder();
let text = "", rest = "", end = null;
while (end === null) {
  const {done, value} = await reader.read();
  if (done) break;
  const lines = (rest + decoder.decode(value, {stream: true})).split("\\n");
  rest = lines.pop();
  for (const line of lines) {
    if (!line.startsWith("data: ")) continue;
    const chunk = JSON.parse(line.slice(6));
    say({update: chunk});
    if (chunk.status === "completed") end = {end: "completed", text};
    else if (chunk.status === "error") end = {end: "error", error: chunk.error};
    else text = chunk.status === "started" ? chunk.data : text + chunk.data;
  }
}
say(end ?? {end: "cut off"});
await reader.cancel();
"""),
)  # fmt: skip

EXAMPLES: Sequence[Example] = (*CURL, *PYTHON, *NODE)


def example(dialect: str, name: str, language: Language | None = None) -> Example:
    """One of them. Raises: LookupError."""
    for each in EXAMPLES:
        if (each.dialect, each.name) == (dialect, name) and language in (None, each.language):
            return each
    raise LookupError(f"{dialect} {name} {language or ''}")
