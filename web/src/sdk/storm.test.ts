/** Thousands of random steps through cuts, silence, delays, restarts and reloads: nothing is lost, doubled or shown wrong. */
import { describe, expect, it } from "vitest";
import type { Client } from "./client.ts";
import { memoryOutbox } from "./outbox_store.ts";
import { Clock, Rig, settle } from "./rig.ts";
import { dice, type Job, Storm } from "./storm.ts";

/** How many times more voyages are made than usual; a long run is for whoever changes the client's inside. */
const TIMES = Number(process.env.HOLDFAST_TIMES ?? "1");
const SEEDS = Array.from({ length: 3 * TIMES }, (_, index) => index + 1);
const STEPS = 200;
const JOBS_MAX = 60;
const CHATS = 4;

/** One person's page, reloaded now and then, over one stormy network. */
class Voyage {
  readonly clock = new Clock();
  readonly random: () => number;
  readonly storm: Storm;
  readonly submitted: { id: string; chat: string }[] = [];
  readonly withdrawn = new Set<string>();
  readonly #store = memoryOutbox();
  #rig: Rig;
  #own = new Set<string>();
  #holds = new Map<string, () => void>();

  constructor(seed: number) {
    this.random = dice(seed);
    this.storm = new Storm(this.clock, this.random);
    this.#rig = this.#open();
  }

  get client(): Client {
    return this.#rig.client;
  }

  /** Nothing waits, and all that is held has ended. */
  get isWhole(): boolean {
    const held = [...this.#holds.keys()].map((id) => this.client.answer(id).state.get().sync);
    return this.client.outbox.get().length === 0 && held.every((sync) => sync === "ended");
  }

  #open(): Rig {
    const { clock, random } = this;
    const rig = new Rig({ now: () => clock.nowMs, timers: clock, random, outbox: this.#store, user: "u" });
    rig.client.start();
    return rig;
  }

  #reload(): void {
    this.client.close();
    this.#own = new Set();
    this.#holds = new Map();
    this.#rig = this.#open();
  }

  async pass(ms: number): Promise<void> {
    const end = this.clock.nowMs + ms;
    const pieceMs = Math.max(25, ms / 50);
    while (this.clock.nowMs < end) {
      for (const socket of this.#rig.sockets) this.storm.meet(socket);
      this.storm.carry();
      this.clock.advance(Math.min(pieceMs, end - this.clock.nowMs));
      await settle();
    }
    this.check();
  }

  hold(id: string): void {
    if (!this.#holds.has(id)) this.#holds.set(id, this.client.answer(id).hold());
  }

  async step(): Promise<void> {
    const luck = this.random();
    const any = this.submitted[Math.floor(this.random() * this.submitted.length)];
    if (luck < 0.12 && this.submitted.length < JOBS_MAX) {
      const number = this.submitted.length;
      const [id, chat] = [`r${number}`, `c${number % CHATS}`];
      this.submitted.push({ id, chat });
      this.#own.add(id);
      this.client.submit({ request_id: id, chat_id: chat, message_id: `m-${id}`, text: `Say ${id}.` });
      if (this.random() < 0.7) this.hold(id);
    } else if (luck < 0.3 && any) this.hold(any.id);
    else if (luck < 0.42 && any) {
      this.#holds.get(any.id)?.();
      this.#holds.delete(any.id);
    } else if (luck < 0.44 && any && this.#own.has(any.id)) {
      void this.client.withdraw(any.id).then((done) => done && this.withdrawn.add(any.id));
    } else if (luck < 0.5) this.storm.trouble();
    else if (luck < 0.51) this.#reload();
    else if (luck < 0.53) this.#rig.world.told?.[luck < 0.52 ? "shown" : "offline"]();
    else this.storm.work();
    await this.pass(luck > 0.98 ? 45_000 : 40);
  }

  /** Whatever is shown was written so by some attempt. */
  check(): void {
    expect(this.#rig.sockets.filter((socket) => socket.readyState < 2).length).toBeLessThanOrEqual(1);
    for (const { id } of this.submitted) {
      const { parts } = this.client.answer(id).state.get();
      const shown = parts.map((part) => ("text" in part ? part.text : "")).join("");
      const texts = this.storm.jobs.get(id)?.texts ?? [];
      if (shown !== "" && !texts.some((text) => text.startsWith(shown)))
        throw new Error(
          `${id} shows ${JSON.stringify(shown)}, but the server wrote ${JSON.stringify(texts)}`,
        );
    }
  }
}

describe("a stormy day", () => {
  it.each(SEEDS)("ends well, seed %i", { timeout: 30_000 }, async (seed) => {
    const voyage = new Voyage(seed);
    for (let step = 0; step < STEPS; step++) await voyage.step();
    const { storm } = voyage;
    storm.calm = true;
    const fed = (id: string) => voyage.client.feed.requests.get().get(id)?.status;
    const isOver = (job: Job) => job.ended && fed(job.id) === job.fold.status;
    const ends = () => voyage.isWhole && [...storm.jobs.values()].every(isOver);
    for (let turn = 0; turn < 400 && !ends(); turn++) {
      for (const entry of voyage.client.outbox.get())
        if (entry.state === "refused") voyage.client.retry(entry.requestId);
      for (const { id } of voyage.submitted) if (!voyage.withdrawn.has(id)) voyage.hold(id);
      storm.work();
      await voyage.pass(250);
    }
    const expected = voyage.submitted.filter(({ id }) => !voyage.withdrawn.has(id));
    expect(storm.accepted.toSorted()).toEqual(expected.map(({ id }) => id).toSorted());
    expect(storm.conflicts).toBe(0);
    for (let chat = 0; chat < CHATS; chat++) {
      const order = expected.filter((each) => each.chat === `c${chat}`).map(({ id }) => id);
      expect(storm.accepted.filter((id) => storm.jobs.get(id)?.chat === `c${chat}`)).toEqual(order);
    }
    expect(voyage.client.outbox.get()).toEqual([]);
    for (const { id } of expected) {
      const job = storm.jobs.get(id)!;
      expect(job.ended).toBe(true);
      const { sync, verified, parts, status } = voyage.client.answer(id).state.get();
      expect({ sync, verified, status }).toEqual({
        sync: "ended",
        verified: true,
        status: job.log.at(-1)!.type,
      });
      expect(parts.map((part) => ("text" in part ? part.text : "")).join("")).toBe(job.texts.at(-1) ?? "");
      expect(fed(id)).toBe(status);
    }
  });
});
