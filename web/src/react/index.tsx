/** React's view of the client: one provider and a few hooks, each over a Readable; no state of their own. */
"use client";

import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useSyncExternalStore,
} from "react";
import {
  type Answer,
  type AnswerState,
  type ChatRow,
  type Client,
  type ConnectionState,
  NO_PART,
  type OutboxEntry,
  type Part,
  type Readable,
  type RequestRow,
  type SubmissionInput,
} from "../sdk/index.ts";

const ClientContext = createContext<Client | null>(null);

/** Gives `client` to the hooks below it. Starting and closing it stays with whoever made it. */
export function HoldfastProvider({ client, children }: { client: Client; children: ReactNode }) {
  return <ClientContext.Provider value={client}>{children}</ClientContext.Provider>;
}

/** The client of the nearest provider. Throws where there is none. */
export function useClient(): Client {
  const client = useContext(ClientContext);
  if (client === null) throw new Error("This needs a <HoldfastProvider client={…}> around it.");
  return client;
}

/** The present value of a Readable; renders again when it is another one. */
export function useReadable<T>(readable: Readable<T>): T {
  const subscribe = useCallback((listener: () => void) => readable.subscribe(listener), [readable]);
  const get = useCallback(() => readable.get(), [readable]);
  return useSyncExternalStore(subscribe, get, get);
}

/** Where the connection is, in a form fit to be shown. */
export function useConnection(): ConnectionState {
  return useReadable(useClient().connection);
}

/** What has been submitted here and is not accepted yet, in order. */
export function useOutbox(): readonly OutboxEntry[] {
  return useReadable(useClient().outbox);
}

/** The chats that the feed has told of, by id. */
export function useChats(): ReadonlyMap<string, ChatRow> {
  return useReadable(useClient().feed.chats);
}

/** The requests that the feed has told of, by id. */
export function useRequests(): ReadonlyMap<string, RequestRow> {
  return useReadable(useClient().feed.requests);
}

/** Asks, and gives the answer's handle at once; the submit itself waits in the outbox while there is no connection. */
export function useSubmit(): (submission: SubmissionInput) => Answer {
  const client = useClient();
  return useCallback((submission: SubmissionInput) => client.submit(submission), [client]);
}

/** Follows a request while the component is mounted. `deltas: false`: renders again only when the structure changes
 * (parts, status, attempt); let `usePart` draw what streams. */
export function useAnswer(
  requestId: string,
  options: { readonly deltas?: boolean } = {},
): { readonly answer: Answer; readonly state: AnswerState } {
  const client = useClient();
  const answer = useMemo(() => client.answer(requestId), [client, requestId]);
  useEffect(() => answer.hold(), [answer]);
  const state = useReadable(options.deltas === false ? answer.shape : answer.state);
  return { answer, state };
}

/** One part of an answer; a delta renders only those who show its part. */
export function usePart(answer: Answer | null, index: number): Part {
  return useReadable(useMemo(() => answer?.part(index) ?? ABSENT, [answer, index]));
}

const ABSENT: Readable<Part> = { get: () => NO_PART, subscribe: () => () => undefined };
