// @vitest-environment jsdom
/** The hooks over a client whose server is the test: who renders when, and what is followed while. */
import { act, cleanup, render, screen } from "@testing-library/react";
import { StrictMode } from "react";
import { afterEach, describe, expect, it } from "vitest";
import { foldEvents, parseEvent } from "../sdk/index.ts";
import { ACCEPTED, delta, PART, page, Rig, STARTED, settle } from "../sdk/rig.ts";
import {
  HoldfastProvider,
  useAnswer,
  useChats,
  useClient,
  useConnection,
  useOutbox,
  usePart,
  useRequests,
  useSubmit,
} from "./index.tsx";

afterEach(cleanup);

const rendered: string[] = [];

function Text({ id, index }: { id: string; index: number }) {
  const { answer } = useAnswer(id, { deltas: false });
  const part = usePart(answer, index);
  rendered.push(`part ${index}`);
  return <output>{part.kind === "text" ? part.text : ""}</output>;
}

function Shown({ id, deltas }: { id: string; deltas: boolean }) {
  const { state } = useAnswer(id, { deltas });
  rendered.push("answer");
  return <p>{`${state.status} ${state.parts.length}`}</p>;
}

/** Says to the last subscribe that it stands, and how the answer begins. */
async function begin(rig: Rig, id: string): Promise<void> {
  const { socket } = rig;
  await settle();
  const { ref } = socket.last("subscribe");
  socket.say({ type: "subscribed", ref, request_id: id, status: "running", reset: "start" });
  socket.say({ type: "snapshot", request_id: id, reason: "start" });
  socket.say(page(id, 0, ACCEPTED, STARTED, PART, delta("Hel")));
  const events = [ACCEPTED, STARTED, PART, delta("Hel")].flatMap((event) => parseEvent(event) ?? []);
  const { crc: digest, parts, bytes } = foldEvents(events).digest();
  socket.say({ type: "caught_up", request_id: id, cursor: "4-1.0b0b0b0b", parts, bytes, digest });
  await settle();
}

async function say(rig: Rig, frame: object): Promise<void> {
  await act(async () => {
    rig.socket.say(frame);
    await settle();
  });
}

describe("useAnswer and usePart", () => {
  it("render what streams; a delta only where text is shown", async () => {
    const rig = new Rig();
    await rig.online();
    render(
      <HoldfastProvider client={rig.client}>
        <Shown id="r" deltas={false} />
        <Text id="r" index={0} />
        <Text id="r" index={1} />
      </HoldfastProvider>,
    );
    await act(() => begin(rig, "r"));
    const [first, second] = screen.getAllByRole("status");
    expect(first?.textContent).toBe("Hel");
    expect(second?.textContent).toBe("");
    expect(screen.getByText("running 1")).toBeTruthy();
    rendered.length = 0;
    await say(rig, page("r", 4, delta("lo.")));
    expect(first?.textContent).toBe("Hello.");
    expect(rendered).toEqual(["part 0"]);
    await say(
      rig,
      page("r", 5, { type: "part_done", at: 5, part: 0 }, { type: "completed", at: 6, code: "stop" }),
    );
    expect(screen.getByText("completed 1")).toBeTruthy();
  });

  it("render every delta where that is wanted", async () => {
    const rig = new Rig();
    await rig.online();
    render(
      <HoldfastProvider client={rig.client}>
        <Shown id="r" deltas />
      </HoldfastProvider>,
    );
    await act(() => begin(rig, "r"));
    rendered.length = 0;
    await say(rig, page("r", 4, delta("lo.")));
    expect(rendered).toEqual(["answer"]);
  });

  it("follow one subscription for all, and leave when nobody shows it", async () => {
    const rig = new Rig();
    const socket = await rig.online();
    const view = render(
      <StrictMode>
        <HoldfastProvider client={rig.client}>
          <Shown id="r" deltas />
          <Text id="r" index={0} />
        </HoldfastProvider>
      </StrictMode>,
    );
    await act(() => begin(rig, "r"));
    expect(socket.all("subscribe")).toHaveLength(1);
    view.unmount();
    rig.clock.advance(5_000);
    await settle();
    expect(socket.all("unsubscribe")).toHaveLength(1);
  });
});

describe("the other hooks", () => {
  it("show connection, outbox and feed, and submit", async () => {
    const rig = new Rig();
    let submit: ReturnType<typeof useSubmit> = () => {
      throw new Error("not rendered");
    };
    function All() {
      const { phase } = useConnection();
      const [unsent, chats, requests] = [useOutbox().length, useChats().size, useRequests().size];
      submit = useSubmit();
      return <p>{`${phase} ${unsent} ${chats} ${requests}`}</p>;
    }
    render(
      <HoldfastProvider client={rig.client}>
        <All />
      </HoldfastProvider>,
    );
    expect(screen.getByText("idle 0 0 0")).toBeTruthy();
    await act(() => rig.online().then(() => undefined));
    expect(screen.getByText("online 0 0 0")).toBeTruthy();
    await act(async () => {
      submit({ chat_id: "c", text: "One" });
      await settle();
    });
    expect(screen.getByText("online 1 0 0")).toBeTruthy();
    const { ref, request } = rig.socket.last("submit");
    const { request_id } = request as { request_id: string };
    await say(rig, {
      type: "submitted",
      ref,
      request_id,
      chat_id: "c",
      message_id: "m",
      cursor: "0-0.0a0a0a0a",
    });
    expect(screen.getByText("online 0 0 0")).toBeTruthy();
  });

  it("say so where there is no provider", () => {
    function Lost() {
      useClient();
      return null;
    }
    expect(() => render(<Lost />)).toThrow("HoldfastProvider");
  });
});
