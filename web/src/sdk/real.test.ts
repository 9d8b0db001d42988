/** The client against the real server: an answer that outlives a lost connection, and the server itself. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Client } from "./client.ts";
import type { AnswerState } from "./state.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const PYTHON = join(ROOT, ".venv/bin/python");
const START_MS_MAX = 20_000;

/** A server of this test's own, on a port that was free, with data of its own. */
class Server {
  readonly #data = mkdtempSync(join(tmpdir(), "holdfast-sdk-"));
  #port = 0;
  #process: ChildProcess | null = null;

  get url(): string {
    return `ws://127.0.0.1:${this.#port}/ws`;
  }

  async start(): Promise<void> {
    this.#port ||= await freePort();
    const child = spawn(PYTHON, ["main.py", "serve", "--port", String(this.#port), "--data", this.#data], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`not ready: ${said}`)), START_MS_MAX);
      let said = "";
      const heard = (data: Buffer) => {
        said += data.toString();
        if (!said.includes("ready on")) return;
        clearTimeout(late);
        resolve();
      };
      child.stdout.on("data", heard);
      child.stderr.on("data", heard);
      child.once("exit", () => reject(new Error(`ended: ${said}`)));
    });
  }

  /** End it without a word, as a crash does. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (!child || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.#data, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}

function until(
  client: Client,
  requestId: string,
  wanted: (state: AnswerState) => boolean,
): Promise<AnswerState> {
  const { state } = client.answer(requestId);
  return new Promise((resolve) => {
    const look = () => {
      if (!wanted(state.get())) return;
      stop();
      resolve(state.get());
    };
    const stop = state.subscribe(look);
    look();
  });
}

const textOf = (state: AnswerState) =>
  state.parts.map((part) => (part.kind === "text" ? part.text : "")).join("");

describe.skipIf(!existsSync(PYTHON))(
  "with a real server (skipped where ../.venv/bin/python is not there)",
  () => {
    const server = new Server();
    const clients: Client[] = [];
    const sockets: WebSocket[] = [];

    function connect(): Client {
      class Kept extends WebSocket {
        constructor(url: string | URL, protocols?: string | string[]) {
          super(url, protocols);
          sockets.push(this);
        }
      }
      const client = new Client({ url: server.url, name: "test", WebSocket: Kept });
      clients.push(client);
      client.start();
      return client;
    }

    beforeAll(() => server.start(), START_MS_MAX);

    afterEach(() => {
      for (const client of clients.splice(0)) client.close();
    });
    afterAll(() => server.end());

    it("shows the same answer, verified, to whoever lost the connection, came late, or saw the server die", async () => {
      const client = connect();
      const answer = client.submit({
        chat_id: "c-1",
        text: "Say something long enough to be cut off twice.",
        options: { pace: 150 },
      });
      const release = answer.hold();
      await until(client, answer.requestId, (state) => state.parts.length > 1);
      sockets.at(-1)!.close();
      await until(client, answer.requestId, (state) => state.sync === "paused");
      client.retryNow();
      await until(client, answer.requestId, (state) => state.sync === "live" || state.sync === "ended");
      await server.kill();
      const unsent = client.submit({
        chat_id: "c-2",
        text: "Written while the server was away.",
        options: { pace: 1_000 },
      });
      expect(unsent.state.get()).toMatchObject({ status: "unsent", delivery: "outbox" });
      await server.start();
      client.retryNow();
      const [ended, second] = await Promise.all([answer.ended, unsent.ended]);
      expect(ended).toMatchObject({ status: "completed", verified: true, sync: "ended" });
      expect(second).toMatchObject({ status: "completed", verified: true, delivery: "accepted" });
      const late = connect();
      const seen = await late.answer(answer.requestId).ended;
      expect(textOf(seen)).toBe(textOf(ended));
      expect(seen.offset).toBe(ended.offset);
      expect(client.outbox.get()).toEqual([]);
      const { messages } = await late.call("list_messages", { chat_id: "c-1" });
      expect(messages.map((message) => message.role)).toEqual(["assistant", "user"]);
      release();
    }, 60_000);

    it("answers commands, refuses what cannot be, and tells of a new chat", async () => {
      const client = connect();
      const { agents } = await client.call("list_agents", {});
      expect(agents.length).toBeGreaterThan(0);
      await client.call("create_chat", { chat_id: "c-3", title: "Three" });
      const { chats } = await client.call("list_chats", {});
      client.feed.learn(chats);
      await expect(client.call("cancel", { request_id: "nobody" })).rejects.toMatchObject({
        code: "unknown_request",
      });
      await new Promise<void>((resolve) => {
        const stop = client.feed.chats.subscribe(() => {
          stop();
          resolve();
        });
        if (client.feed.chats.get().size > 0) resolve();
      });
      expect(client.feed.chats.get().get("c-3")?.title).toBe("Three");
    }, 30_000);
  },
);
