/**
 * The protocol's messages as TypeScript, written by docs/wire_types.py from the definitions that the server uses.
 *
 * Do not edit: `make docs` writes it anew, and the tests fail while it differs.
 */
/* eslint-disable */

/** The WebSocket subprotocol that a browser speaks: JSON in text frames. */
export const SUBPROTOCOL = "holdfast.v1.json" as const;

/** Every bound the two ends must agree on; docs/protocol.md has the reasons. */
export const LIMITS = {
  "offset_max": 9007199254740991,
  "id_chars_max": 64,
  "command_bytes_max": 1048576,
  "command_bytes_max_before_hello": 4096,
  "text_bytes_max": 524288,
  "options_depth_max": 16,
  "call_chars_max": 4096,
  "calls_per_message_max": 128,
  "options_values_max": 100000,
  "submits_per_command_max": 100,
  "probes_per_command_max": 200,
  "list_limit_max": 200,
  "list_limit_default": 50,
  "subscriptions_per_connection_max": 500,
  "page_bytes_max": 262144,
  "delta_bytes_max": 16384,
  "merged_delta_bytes_max": 65536,
  "event_bytes_max": 262144,
  "readers_max": 100,
  "terms_max": 200,
  "owner_chars_max": 129,
  "client_chars_max": 200,
  "title_chars_max": 200,
  "query_chars_max": 200,
  "heartbeat_s": 20.0,
  "hello_deadline_s": 5.0,
} as const;

/** Error codes: whether the same command may succeed later, and what to do. */
export const ERRORS = {
  "malformed": {"retryable": false, "advice": "The frame is not valid in this codec; send one JSON text or MessagePack binary object."},
  "invalid": {"retryable": false, "advice": "A field is missing, unknown or of the wrong type; the message names it."},
  "too_large": {"retryable": false, "advice": "The frame or a value in it is over a limit; send less."},
  "too_deep": {"retryable": false, "advice": "Values are nested too deeply; flatten them."},
  "unknown_command": {"retryable": false, "advice": "This server does not know the command; check the protocol version."},
  "unauthenticated": {"retryable": false, "advice": "Send hello with a valid token first."},
  "not_permitted": {"retryable": false, "advice": "Only operators may do this; ask whoever runs the server."},
  "unknown_request": {"retryable": false, "advice": "No such request of yours; it may have been deleted."},
  "unknown_chat": {"retryable": false, "advice": "No such chat of yours; it may have been deleted."},
  "unknown_message": {"retryable": false, "advice": "No such message of yours in this chat."},
  "unknown_agent": {"retryable": false, "advice": "No such agent; list_agents tells which exist."},
  "request_conflict": {"retryable": false, "advice": "This request id was used for another request; take a new id."},
  "not_waiting": {"retryable": false, "advice": "It does not wait for this: it was decided, it expired, or what is asked has changed; look again."},
  "ended": {"retryable": false, "advice": "The request has ended; nothing can be added to it."},
  "too_many_subscriptions": {"retryable": false, "advice": "Unsubscribe from something first."},
  "too_many_requests": {"retryable": true, "advice": "Too many requests of yours are running or queued; wait for one to end."},
  "rate_limited": {"retryable": true, "advice": "Too many commands; slow down and try again."},
  "overloaded": {"retryable": true, "advice": "The server is at its memory bound; try again later."},
  "draining": {"retryable": true, "advice": "The server is about to restart; reconnect and send it again."},
  "unavailable": {"retryable": true, "advice": "The store did not answer; the outcome is unknown, send it again with the same id."},
  "storage_full": {"retryable": true, "advice": "The disk is full; running answers go on, new ones must wait."},
  "damaged": {"retryable": false, "advice": "This answer was damaged where it is kept; it cannot be shown as if it were whole."},
  "internal": {"retryable": true, "advice": "The server failed; the incident is in its log."},
} as const;

/** The code of an error that this release knows. */
export type ErrorCode = keyof typeof ERRORS;

/** Close codes: whether to reconnect, and what they mean. */
export const CLOSE_CODES: Readonly<Record<string, { readonly reconnect: boolean; readonly meaning: string }>> = {
  "1000": {"reconnect": false, "meaning": "Normal: the client asked for it."},
  "1001": {"reconnect": true, "meaning": "The other end is going away."},
  "1002": {"reconnect": false, "meaning": "A frame that is not WebSocket: something between the ends breaks the stream."},
  "1003": {"reconnect": false, "meaning": "A text frame on a binary codec, or the reverse."},
  "1007": {"reconnect": false, "meaning": "A text frame that is not UTF-8."},
  "1009": {"reconnect": false, "meaning": "A frame over the size limit."},
  "1011": {"reconnect": true, "meaning": "A bug in the server; reconnect with back-off."},
  "1012": {"reconnect": true, "meaning": "The server restarts; reconnect with jitter."},
  "1013": {"reconnect": true, "meaning": "Too many connections; try again later."},
  "4400": {"reconnect": false, "meaning": "Frames that cannot be decoded, again and again: the client is not speaking this protocol."},
  "4401": {"reconnect": false, "meaning": "No valid credentials; get a token, then reconnect."},
  "4403": {"reconnect": false, "meaning": "This origin may not connect."},
  "4406": {"reconnect": false, "meaning": "None of the offered subprotocols is spoken here."},
  "4408": {"reconnect": true, "meaning": "No hello in time."},
  "4410": {"reconnect": true, "meaning": "The connection took nothing for too long; reconnect and resume from your cursors."},
  "4429": {"reconnect": true, "meaning": "Too many commands or connections; wait, then reconnect."},
};

/** Which event may follow in which status, and the status it leads to. */
export const TRANSITIONS: Readonly<Record<Status, Readonly<Record<string, Status>>>> = {
  "new": {"accepted": "queued"},
  "queued": {"started": "running", "failed": "failed", "cancelled": "cancelled", "timed_out": "timed_out", "interrupted": "interrupted"},
  "running": {"started": "running", "checkpoint": "running", "part_started": "running", "delta": "running", "part_done": "running", "tool_call": "running", "tool_result": "running", "progress": "running", "data": "running", "source": "running", "file": "running", "input": "running", "usage": "running", "decided": "running", "waiting": "waiting", "completed": "completed", "failed": "failed", "cancelled": "cancelled", "timed_out": "timed_out", "interrupted": "interrupted"},
  "waiting": {"started": "running", "failed": "failed", "cancelled": "cancelled", "timed_out": "timed_out", "interrupted": "interrupted"},
  "completed": {},
  "failed": {},
  "cancelled": {},
  "timed_out": {},
  "interrupted": {},
};

/** The statuses after which nothing follows. */
export const OUTCOME_STATUSES = ["completed", "failed", "cancelled", "timed_out", "interrupted"] as const;

/** The statuses of a request without an outcome. */
export const LIVE_STATUSES = ["queued", "running", "waiting"] as const;

/** The kinds of parts that the digest covers. */
export const COVERED = ["text", "reasoning", "tool", "input"] as const;

export type Status = "new" | "queued" | "running" | "waiting" | "completed" | "failed" | "cancelled" | "timed_out" | "interrupted";

export type ResetReason = "start" | "unknown_epoch" | "ahead" | "superseded" | "purged";

export type Reason = "first" | "retry" | "recovered" | "resumed" | "handed_over";

export type ProbeState = "running" | "accepted" | "ended" | "unknown";

/** Says who is there; the first frame of a connection without an Authorization header. Reply: welcome. */
export interface HelloCommand {
  readonly type: "hello";
  readonly ref: number;
  readonly token?: string | null | undefined;
  readonly client?: string | undefined;
}

/** Is the other end alive? Reply: pong. */
export interface PingCommand {
  readonly type: "ping";
  readonly ref: number;
}

/** Ask something. Reply: submitted, once the request is durable. `follow` subscribes from the start. */
export interface SubmitCommand {
  readonly type: "submit";
  readonly ref: number;
  readonly request: Submission;
  readonly follow?: boolean | undefined;
}

/** One request. With `chat_id`: `text` becomes a new message of the person under `parent_id` (default: the newest branch's last message; with `root`: under none, beside the chat's first message), or, without `text`, the message `parent_id` of the person is answered once more. A chat id that is not there yet makes the chat. Its `messages` are then of the role system: instructions for this request alone, which the chat does not keep. Without `chat_id` the request carries its own `messages` and stays out of the history. `request_id` is the idempotency key: the same id with the same body is the same request, however often it is sent; with another body it is refused. `priority` orders it among the requests of its user; what is `low` also lets everybody's others go first, for a minute. */
export interface Submission {
  readonly request_id?: string | null | undefined;
  readonly chat_id?: string | null | undefined;
  readonly message_id?: string | null | undefined;
  readonly parent_id?: string | null | undefined;
  readonly root?: boolean | undefined;
  readonly text?: string | null | undefined;
  readonly messages?: readonly InputMessage[] | undefined;
  readonly agent?: string | null | undefined;
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  readonly deadlines?: Deadlines | undefined;
  readonly append_only?: boolean | undefined;
  readonly priority?: "high" | "low" | "normal" | undefined;
}

/** A message that a request brings along. `tool_calls` are an assistant's. A message of the role tool is the result of one call of an assistant's message before it, which `call_id` names; a call has at most one result. */
export interface InputMessage {
  readonly role: "assistant" | "system" | "tool" | "user";
  readonly text?: string | undefined;
  readonly tool_calls?: readonly InputToolCall[] | undefined;
  readonly call_id?: string | null | undefined;
}

/** A tool call of an answer that the client has. `arguments` is JSON text, as the model wrote it. */
export interface InputToolCall {
  readonly call_id: string;
  readonly name: string;
  readonly arguments?: string | undefined;
}

/** Lower bounds than the agent's own, in seconds; a higher one than the agent's is cut to it. `queue_s`: accepted to first claim. `first_output_s`, `stall_s`: per attempt. `total_s`: time spent running, over all attempts. */
export interface Deadlines {
  readonly queue_s?: number | null | undefined;
  readonly first_output_s?: number | null | undefined;
  readonly stall_s?: number | null | undefined;
  readonly total_s?: number | null | undefined;
}

/** Ask many things at once; each is accepted or refused by itself. Reply: submitted_many. */
export interface SubmitManyCommand {
  readonly type: "submit_many";
  readonly ref: number;
  readonly requests: readonly Submission[];
  readonly follow?: boolean | undefined;
}

/** Follow a request from a cursor to its end; without one, from a snapshot. Reply: subscribed. */
export interface SubscribeCommand {
  readonly type: "subscribe";
  readonly ref: number;
  readonly request_id: string;
  readonly cursor?: string | null | undefined;
}

/** Stop following; the request goes on. Reply: done. */
export interface UnsubscribeCommand {
  readonly type: "unsubscribe";
  readonly ref: number;
  readonly request_id: string;
}

/** End a request, running or not. `owner`: somebody else's, for operators. Reply: cancel_result. */
export interface CancelCommand {
  readonly type: "cancel";
  readonly ref: number;
  readonly request_id: string;
  readonly owner?: string | null | undefined;
}

/** Answer what a request waits for. `digest` must be that of the wait. Reply: done. */
export interface DecideCommand {
  readonly type: "decide";
  readonly ref: number;
  readonly request_id: string;
  readonly wait_id: string;
  readonly digest?: string | undefined;
  readonly decision?: unknown | undefined;
}

/** What has become of these? Reply: probed. */
export interface ProbeCommand {
  readonly type: "probe";
  readonly ref: number;
  readonly request_ids: readonly string[];
}

/** Requests, newest first. `active`: those without an outcome. `everyone`: all users' (operators only). `status`, `agent`, `text` (in the title, in any case of its letters) and `tools` (with at least one tool call) keep those that fit; a page may then hold fewer rows than `limit`, or none, and still have a `next`; so may one of everyone's in a chat. Reply: requests. */
export interface ListRequestsCommand {
  readonly type: "list_requests";
  readonly ref: number;
  readonly active?: boolean | undefined;
  readonly everyone?: boolean | undefined;
  readonly chat_id?: string | null | undefined;
  readonly status?: readonly Status[] | undefined;
  readonly agent?: string | null | undefined;
  readonly text?: string | null | undefined;
  readonly tools?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly before?: string | null | undefined;
}

/** The log as it was written, unmerged, from an offset: for replay and inspection. `owner`: somebody else's, for operators. Reply: log. */
export interface ReadEventsCommand {
  readonly type: "read_events";
  readonly ref: number;
  readonly request_id: string;
  readonly owner?: string | null | undefined;
  readonly start?: number | undefined;
  readonly limit?: number | undefined;
}

/** What is known about a request beside its log: who followed it, and how often it was taken up. `owner`: somebody else's, for operators. Reply: inspected. */
export interface InspectCommand {
  readonly type: "inspect";
  readonly ref: number;
  readonly request_id: string;
  readonly owner?: string | null | undefined;
}

/** Follow one's own feed. Reply: watching; then feed pushes. */
export interface WatchCommand {
  readonly type: "watch";
  readonly ref: number;
  readonly cursor?: string | null | undefined;
}

/** Stop following the feed. Reply: done. */
export interface UnwatchCommand {
  readonly type: "unwatch";
  readonly ref: number;
}

/** Chats, most recently changed first. Reply: chats. */
export interface ListChatsCommand {
  readonly type: "list_chats";
  readonly ref: number;
  readonly archived?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly before?: string | null | undefined;
}

/** Make a chat before its first message; repeating it is harmless. Reply: chat. */
export interface CreateChatCommand {
  readonly type: "create_chat";
  readonly ref: number;
  readonly chat_id: string;
  readonly title?: string | null | undefined;
  readonly agent?: string | null | undefined;
}

/** Change what is given: title, agent, archived; `seen` notes that the person has read it up to now. Reply: chat. */
export interface UpdateChatCommand {
  readonly type: "update_chat";
  readonly ref: number;
  readonly chat_id: string;
  readonly title?: string | null | undefined;
  readonly agent?: string | null | undefined;
  readonly archived?: boolean | null | undefined;
  readonly seen?: boolean | undefined;
}

/** Delete a chat: it is gone at once, restorable for a short while, then erased with its requests. Reply: done. */
export interface DeleteChatCommand {
  readonly type: "delete_chat";
  readonly ref: number;
  readonly chat_id: string;
}

/** Take a deletion back, while that is possible. Reply: chat. */
export interface RestoreChatCommand {
  readonly type: "restore_chat";
  readonly ref: number;
  readonly chat_id: string;
}

/** The messages of a chat, newest first, each with its parent; and the requests that run in it. Reply: messages. */
export interface ListMessagesCommand {
  readonly type: "list_messages";
  readonly ref: number;
  readonly chat_id: string;
  readonly limit?: number | undefined;
  readonly before?: string | null | undefined;
}

/** Delete a message and everything under it. Reply: done. */
export interface DeleteMessageCommand {
  readonly type: "delete_message";
  readonly ref: number;
  readonly chat_id: string;
  readonly message_id: string;
}

/** Full-text search over titles and messages. Reply: found. */
export interface SearchCommand {
  readonly type: "search";
  readonly ref: number;
  readonly query: string;
  readonly limit?: number | undefined;
  readonly before?: string | null | undefined;
}

/** Which agents exist. Reply: agents. */
export interface ListAgentsCommand {
  readonly type: "list_agents";
  readonly ref: number;
}

/** The command was refused, or (without `ref`) a frame could not be read. `code` is stable; `message` says what to do; `retryable` tells whether the same command may succeed later, `retry_after_ms` when. */
export interface ErrorReply {
  readonly type: "error";
  readonly code: string;
  readonly message: string;
  readonly ref: number | null;
  readonly retryable: boolean;
  readonly retry_after_ms: number | null;
  readonly request_id: string | null;
}

/** The connection may be used. `user` is who it belongs to, as `user` or `tenant/user`. `durability`: what an acknowledgement survives, `process` (the end of every process of the server's) or `power` (that of the machine too). `operator`: this user may see everybody's requests, and stop them. */
export interface WelcomeReply {
  readonly type: "welcome";
  readonly ref: number;
  readonly server: string;
  readonly user: string;
  readonly heartbeat_s: number;
  readonly durability: string;
  readonly limits: Readonly<Record<string, number>>;
  readonly draining: boolean;
  readonly operator: boolean;
}

/** Alive; `at` is the server's clock in milliseconds. */
export interface PongReply {
  readonly type: "pong";
  readonly ref: number;
  readonly at: number;
}

/** It has been done. */
export interface DoneReply {
  readonly type: "done";
  readonly ref: number;
}

/** The request is durable (I4). `created` is false if it was there already. `cursor` is its start. */
export interface SubmittedReply {
  readonly type: "submitted";
  readonly ref: number;
  readonly request_id: string;
  readonly chat_id: string | null;
  readonly message_id: string | null;
  readonly parent_id: string | null;
  readonly created: boolean;
  readonly status: Status;
  readonly cursor: string;
}

/** One result per request, in order. */
export interface SubmittedManyReply {
  readonly type: "submitted_many";
  readonly ref: number;
  readonly results: readonly (SubmittedReply | ErrorReply)[];
}

/** Pages follow: from the cursor that was sent, or, if `reset` says why not, a snapshot first. */
export interface SubscribedReply {
  readonly type: "subscribed";
  readonly ref: number;
  readonly request_id: string;
  readonly status: Status;
  readonly chat_id: string | null;
  readonly reset: ResetReason | null;
}

/** `won`: this call ended the request; otherwise `status` is the outcome that stands. */
export interface CancelResultReply {
  readonly type: "cancel_result";
  readonly ref: number;
  readonly won: boolean;
  readonly status: Status;
}

/** One row per id, in order. */
export interface ProbedReply {
  readonly type: "probed";
  readonly ref: number;
  readonly requests: readonly ProbeRow[];
}

/** What has become of a request: running (or waiting), accepted and not started, ended, or not known here. `cursor` is where its log ends now, while that still grows; what has ended has none. */
export interface ProbeRow {
  readonly request_id: string;
  readonly state: ProbeState;
  readonly status: Status | null;
  readonly chat_id: string | null;
  readonly cursor: string | null;
}

/** A page of requests; `next` goes on, as `before`. */
export interface RequestsReply {
  readonly type: "requests";
  readonly ref: number;
  readonly requests: readonly RequestRow[];
  readonly next: string | null;
}

/** A request. `version` rises with every change of this row. `place`: how many are before it in the queue; `queue_reason`: what it waits for (`slots`, `user`, `agent`, `after`, `not_before`, `alone`, `no_worker`; others may come), and `estimate_ms`: in how many milliseconds it is expected to begin, if anybody can tell; only while it is queued. `started_at`: when it was first taken up. `usage`: the tokens known so far, of all attempts; `tools`: how many tools were called. Both are those of the moment in which the row was made, and do not raise `version` by themselves. `owner`: whose it is, `user` or `tenant/user`; only where everybody's are listed. `deleted`: it is gone, and so is its journal. */
export interface RequestRow {
  readonly request_id: string;
  readonly version: number;
  readonly status: Status;
  readonly agent: string;
  readonly chat_id: string | null;
  readonly message_id: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly attempt: number;
  readonly place: number | null;
  readonly queue_reason: string | null;
  readonly estimate_ms: number | null;
  readonly outcome: Outcome | null;
  readonly usage: UsageEvent | null;
  readonly tools: number;
  readonly title: string;
  readonly owner: string | null;
  readonly deleted: boolean;
}

/** The answer is whole. `code`: stop, length, tool_calls, content_filter. */
export interface CompletedEvent {
  readonly type: "completed";
  readonly at: number;
  readonly span: number;
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

/** The agent or its upstream failed; what was shown stands. */
export interface FailedEvent {
  readonly type: "failed";
  readonly at: number;
  readonly span: number;
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

/** Somebody stopped it. `code`: user, chat_deleted, operator. */
export interface CancelledEvent {
  readonly type: "cancelled";
  readonly at: number;
  readonly span: number;
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

/** A deadline passed. `code`: queue, first_output, stall, total. */
export interface TimedOutEvent {
  readonly type: "timed_out";
  readonly at: number;
  readonly span: number;
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

/** The server died or restarted too often under it; what was shown stands. */
export interface InterruptedEvent {
  readonly type: "interrupted";
  readonly at: number;
  readonly span: number;
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

/** Tokens used so far by this request, all attempts together; each event replaces the one before. */
export interface UsageEvent {
  readonly type: "usage";
  readonly at: number;
  readonly span: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly reasoning_tokens: number;
  readonly cached_tokens: number;
  readonly estimated: boolean;
}

/** Events as they were written, from `start`; `next` is the offset after them; `sealed` if the log ends there. */
export interface LogReply {
  readonly type: "log";
  readonly ref: number;
  readonly request_id: string;
  readonly start: number;
  readonly next: number;
  readonly events: readonly Event[];
  readonly sealed: boolean;
}

/** Offset 0: the request exists and will reach an outcome. `nonce` is the epoch of term 0. */
export interface AcceptedEvent {
  readonly type: "accepted";
  readonly at: number;
  readonly span: number;
  readonly nonce: string;
  readonly agent: string;
  readonly chat_id: string | null;
  readonly message_id: string | null;
  readonly parent_id: string | null;
  readonly append_only: boolean;
  readonly projections: Readonly<Record<string, number>>;
  readonly v: number;
}

/** A writer begins under `term`. `keep` tells what stands of the output so far: all of it, none, or what came before the checkpoint at that offset. A new term is not a new attempt: `resumed` and `handed_over` keep the number. */
export interface StartedEvent {
  readonly type: "started";
  readonly at: number;
  readonly span: number;
  readonly attempt: number;
  readonly term: number;
  readonly nonce: string;
  readonly keep: "all" | "none" | number;
  readonly reason: Reason;
}

/** No part is open; the parts so far are immutable from here on, and a later attempt may keep them. */
export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly at: number;
  readonly span: number;
}

/** The request waits for a person or for a tool that runs in the client; it opens a part that shows what is asked. `digest` names exactly what is being decided, so that a decision cannot land on something else. */
export interface WaitingEvent {
  readonly type: "waiting";
  readonly at: number;
  readonly span: number;
  readonly part: number;
  readonly wait_id: string;
  readonly kind: string;
  readonly body: unknown;
  readonly digest: string;
  readonly expires_at: number | null;
}

/** The writer took a decision from its inbox. `expired` if time decided. */
export interface DecidedEvent {
  readonly type: "decided";
  readonly at: number;
  readonly span: number;
  readonly part: number;
  readonly wait_id: string;
  readonly decision: unknown;
  readonly expired: boolean;
}

/** A part of growing text opens. */
export interface PartStartedEvent {
  readonly type: "part_started";
  readonly at: number;
  readonly span: number;
  readonly part: number;
  readonly kind: "reasoning" | "text";
}

/** Text added to the end of an open part (text, reasoning, or a tool call's arguments). */
export interface DeltaEvent {
  readonly type: "delta";
  readonly at: number;
  readonly span: number;
  readonly part: number;
  readonly text: string;
}

/** The part's text is complete; for a tool call, its arguments are. */
export interface PartDoneEvent {
  readonly type: "part_done";
  readonly at: number;
  readonly span: number;
  readonly part: number;
}

/** A tool call opens; its arguments follow as deltas. `where` tells who runs it: the server, or the client that sent the tool along (such a call stands without a result when the request completes). */
export interface ToolCallEvent {
  readonly type: "tool_call";
  readonly at: number;
  readonly span: number;
  readonly part: number;
  readonly call_id: string;
  readonly name: string;
  readonly where: "client" | "server";
}

/** What the tool gave back, as the string that the model is shown. */
export interface ToolResultEvent {
  readonly type: "tool_result";
  readonly at: number;
  readonly span: number;
  readonly part: number;
  readonly output: string;
  readonly is_error: boolean;
}

/** A step of the work; the first event with a part number opens it, later ones replace what it shows. */
export interface ProgressEvent {
  readonly type: "progress";
  readonly at: number;
  readonly span: number;
  readonly part: number;
  readonly id: string;
  readonly label: string;
  readonly kind: string;
  readonly step: number | null;
  readonly total: number | null;
  readonly percent: number | null;
  readonly state: "done" | "failed" | "running";
}

/** A value for the application; a later event with the same part replaces it. */
export interface DataEvent {
  readonly type: "data";
  readonly at: number;
  readonly span: number;
  readonly part: number;
  readonly id: string;
  readonly name: string;
  readonly data: unknown;
}

/** Something the answer cites. */
export interface SourceEvent {
  readonly type: "source";
  readonly at: number;
  readonly span: number;
  readonly part: number;
  readonly id: string;
  readonly url: string;
  readonly title: string;
}

/** A file the answer made, by reference. */
export interface FileEvent {
  readonly type: "file";
  readonly at: number;
  readonly span: number;
  readonly part: number;
  readonly id: string;
  readonly url: string;
  readonly media_type: string;
  readonly name: string;
}

/** Something the person added while the answer was being made, at the place where the writer saw it. */
export interface InputEvent {
  readonly type: "input";
  readonly at: number;
  readonly span: number;
  readonly part: number;
  readonly id: string;
  readonly text: string;
}

/** The request; who followed it, latest first; how often it was taken up, in order. Readers are noted as well as the server could, and no promise: a crash or a history in trouble may leave some out. */
export interface InspectedReply {
  readonly type: "inspected";
  readonly ref: number;
  readonly request: RequestRow;
  readonly readers: readonly ReaderRow[];
  readonly terms: readonly TermRow[];
}

/** Somebody followed a request: over `connection` (a random name, no address), by a program that called itself `client`, through `door`; from `since` until `until` (none: it still does), from offset `start` up to `end`. */
export interface ReaderRow {
  readonly connection: string;
  readonly door: string;
  readonly since: number;
  readonly start: number;
  readonly end: number;
  readonly client: string;
  readonly until: number | null;
}

/** A request was taken up: under `term`, as `attempt`, by the event at offset `start`, at the time `at`. `running_ms` is how long this term ran and `usage` what it used, as far as that was noted. */
export interface TermRow {
  readonly term: number;
  readonly attempt: number;
  readonly start: number;
  readonly at: number;
  readonly reason: Reason;
  readonly running_ms: number;
  readonly usage: UsageEvent | null;
}

/** Feed pushes follow; `reset` if they begin with a snapshot. */
export interface WatchingReply {
  readonly type: "watching";
  readonly ref: number;
  readonly cursor: string;
  readonly reset: ResetReason | null;
}

/** A page of chats; `next` goes on, as `before`. */
export interface ChatsReply {
  readonly type: "chats";
  readonly ref: number;
  readonly chats: readonly ChatRow[];
  readonly next: string | null;
}

/** A chat. `version` rises with every change: of two rows of one chat the higher one holds. `updated_at`: when something was last asked or answered in it; a title, the archive and `seen` leave it alone. `last_...`: the request of this chat that ended last; if that was after `seen_at`, the person has not read it. */
export interface ChatRow {
  readonly chat_id: string;
  readonly version: number;
  readonly title: string;
  readonly agent: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly seen_at: number;
  readonly last_request_id: string | null;
  readonly last_status: Status | null;
  readonly last_ended_at: number;
  readonly archived: boolean;
  readonly deleted: boolean;
}

/** The chat as it is now. */
export interface ChatReply {
  readonly type: "chat";
  readonly ref: number;
  readonly chat: ChatRow;
}

/** A page of messages, and the requests of the chat that have no outcome yet. */
export interface MessagesReply {
  readonly type: "messages";
  readonly ref: number;
  readonly messages: readonly MessageRow[];
  readonly requests: readonly RequestRow[];
  readonly next: string | null;
}

/** A message. An answer's id is its request's id; its `transcript` is there once the request has ended. */
export interface MessageRow {
  readonly message_id: string;
  readonly chat_id: string;
  readonly role: "assistant" | "user";
  readonly parent_id: string | null;
  readonly created_at: number;
  readonly text: string;
  readonly transcript: Transcript | null;
  readonly status: Status | null;
  readonly damaged: boolean;
}

/** The fold of the first `offset` events of a journal. */
export interface Transcript {
  readonly offset: number;
  readonly status: Status;
  readonly agent: string;
  readonly chat_id: string | null;
  readonly message_id: string | null;
  readonly parent_id: string | null;
  readonly append_only: boolean;
  readonly projections: Readonly<Record<string, number>>;
  readonly nonce: string;
  readonly attempt: number;
  readonly term: number;
  readonly term_nonce: string;
  readonly reason: string;
  readonly accepted_at: number | null;
  readonly started_at: number | null;
  readonly parts: readonly TranscriptPart[];
  readonly checkpoints: readonly (readonly [number, number])[];
  readonly usage: UsageEvent | null;
  readonly outcome: Outcome | null;
}

/** Text of the answer, Markdown by convention. */
export interface TextPart {
  readonly kind: "text";
  readonly at: number;
  readonly text: string;
  readonly open: boolean;
}

/** What the model thought on the way. */
export interface ReasoningPart {
  readonly kind: "reasoning";
  readonly at: number;
  readonly text: string;
  readonly open: boolean;
}

/** A tool call. `state`: input (arguments still arriving), called, done, failed, unknown (the request ended without a result: it may or may not have run). */
export interface ToolPart {
  readonly kind: "tool";
  readonly at: number;
  readonly call_id: string;
  readonly name: string;
  readonly where: "client" | "server";
  readonly arguments: string;
  readonly result: string;
  readonly state: "called" | "done" | "failed" | "input" | "unknown";
}

/** A step of the work. `stopped`: the request ended, otherwise than completed, while it ran. */
export interface ProgressPart {
  readonly kind: "progress";
  readonly at: number;
  readonly id: string;
  readonly label: string;
  readonly step_kind: string;
  readonly step: number | null;
  readonly total: number | null;
  readonly percent: number | null;
  readonly state: "done" | "failed" | "running" | "stopped";
}

/** A value for the application. */
export interface DataPart {
  readonly kind: "data";
  readonly at: number;
  readonly id: string;
  readonly name: string;
  readonly data: unknown;
}

/** Something the answer cites. */
export interface SourcePart {
  readonly kind: "source";
  readonly at: number;
  readonly id: string;
  readonly url: string;
  readonly title: string;
}

/** A file the answer made. */
export interface FilePart {
  readonly kind: "file";
  readonly at: number;
  readonly id: string;
  readonly url: string;
  readonly media_type: string;
  readonly name: string;
}

/** What the person added in mid-answer. */
export interface InputPart {
  readonly kind: "input";
  readonly at: number;
  readonly id: string;
  readonly text: string;
}

/** Something a person is asked. `closed`: the request ended before a decision. */
export interface WaitPart {
  readonly kind: "wait";
  readonly at: number;
  readonly wait_id: string;
  readonly wait_kind: string;
  readonly body: unknown;
  readonly digest: string;
  readonly expires_at: number | null;
  readonly decision: unknown;
  readonly state: "closed" | "decided" | "expired" | "open";
}

/** A part that an event of a kind unknown to this release opened: it shows nothing, and keeps its number so that the parts after it keep theirs. `event` is that kind. */
export interface UnknownPart {
  readonly kind: "unknown";
  readonly at: number;
  readonly event: string;
}

/** Search hits, best first. */
export interface FoundReply {
  readonly type: "found";
  readonly ref: number;
  readonly hits: readonly HitRow[];
  readonly next: string | null;
}

/** A search hit. `snippet` marks what was found between U+0002 and U+0003. */
export interface HitRow {
  readonly chat_id: string;
  readonly title: string;
  readonly message_id: string | null;
  readonly role: string | null;
  readonly snippet: string;
  readonly created_at: number;
}

/** The agents. */
export interface AgentsReply {
  readonly type: "agents";
  readonly ref: number;
  readonly agents: readonly AgentRow[];
}

/** An agent that requests may name. */
export interface AgentRow {
  readonly name: string;
  readonly description: string;
  readonly model: string;
  readonly default: boolean;
}

/** Begin anew: the pages that follow, up to `caught_up`, are a log from offset 0 that folds to the present state. Show what you have until then, and swap. */
export interface SnapshotPush {
  readonly type: "snapshot";
  readonly request_id: string;
  readonly reason: ResetReason;
}

/** Events from offset `start`; their spans add up to the offset of `next`, the cursor after them. */
export interface PagePush {
  readonly type: "page";
  readonly request_id: string;
  readonly start: number;
  readonly next: string;
  readonly events: readonly Event[];
}

/** You hold everything up to `cursor`, and your digest should be this one; if not, subscribe again without a cursor. Sent when a reader reaches the tail and again at the end; `sealed`: nothing will follow. */
export interface CaughtUpPush {
  readonly type: "caught_up";
  readonly request_id: string;
  readonly cursor: string;
  readonly parts: number;
  readonly bytes: number;
  readonly digest: string;
  readonly sealed: boolean;
}

/** The request was deleted; its subscription has ended. */
export interface GonePush {
  readonly type: "gone";
  readonly request_id: string;
}

/** What changed of yours; `next` is the cursor after it. Every entry is a whole row: of two with one id the higher version holds, so repeats are harmless. `reset`: this begins a snapshot (the first page of chats, and all requests without an outcome); rows that you hold and that it lacks may be out of date. */
export interface FeedPush {
  readonly type: "feed";
  readonly next: string;
  readonly events: readonly (FeedChat | FeedRequest)[];
  readonly reset: ResetReason | null;
}

/** A chat changed; this is all of its row. */
export interface FeedChat {
  readonly type: "chat";
  readonly chat: ChatRow;
}

/** A request changed; this is all of its row. */
export interface FeedRequest {
  readonly type: "request";
  readonly request: RequestRow;
}

/** Something about the server that is in no log, safe to lose: `draining` (it restarts soon: expect 1012), `place` (of a queued request, with `reason` and `estimate_ms` as in its row), `storage` (trouble or its end); ignore kinds that you do not know. */
export interface NoticePush {
  readonly type: "notice";
  readonly kind: string;
  readonly message: string;
  readonly request_id: string | null;
  readonly place: number | null;
  readonly reason: string | null;
  readonly estimate_ms: number | null;
  readonly retry_after_ms: number | null;
}

/** An event of a kind that this release does not know: it counts by its span, keeps the number of the part that it may
 * open, and is otherwise ignored. `kind` is what the server called it. */
export interface LaterEvent { readonly type: "later"; readonly kind: string; readonly at: number; readonly span: number; readonly part: number | null }

/** Whatever a client may ask. */
export type Command = HelloCommand | PingCommand | SubmitCommand | SubmitManyCommand | SubscribeCommand | UnsubscribeCommand | CancelCommand | DecideCommand | ProbeCommand | ListRequestsCommand | ReadEventsCommand | InspectCommand | WatchCommand | UnwatchCommand | ListChatsCommand | CreateChatCommand | UpdateChatCommand | DeleteChatCommand | RestoreChatCommand | ListMessagesCommand | DeleteMessageCommand | SearchCommand | ListAgentsCommand;

/** Whatever a command may be answered with. */
export type Reply = ErrorReply | WelcomeReply | PongReply | DoneReply | SubmittedReply | SubmittedManyReply | SubscribedReply | CancelResultReply | ProbedReply | RequestsReply | LogReply | InspectedReply | WatchingReply | ChatsReply | ChatReply | MessagesReply | FoundReply | AgentsReply;

/** Whatever the server sends unasked. */
export type Push = SnapshotPush | PagePush | CaughtUpPush | GonePush | FeedPush | NoticePush;

/** An event of a kind that this release knows. */
export type KnownEvent = AcceptedEvent | StartedEvent | CheckpointEvent | WaitingEvent | DecidedEvent | PartStartedEvent | DeltaEvent | PartDoneEvent | ToolCallEvent | ToolResultEvent | ProgressEvent | DataEvent | SourceEvent | FileEvent | InputEvent | UsageEvent | CompletedEvent | FailedEvent | CancelledEvent | TimedOutEvent | InterruptedEvent;

/** Whatever may happen to a request. */
export type Event = KnownEvent | LaterEvent;

/** How a request can end. */
export type Outcome = CompletedEvent | FailedEvent | CancelledEvent | TimedOutEvent | InterruptedEvent;

/** A part of a transcript as it is on the wire. */
export type TranscriptPart = TextPart | ReasoningPart | ToolPart | ProgressPart | DataPart | SourcePart | FilePart | InputPart | WaitPart | UnknownPart;

/** Each command with its one reply. */
export interface Pairs {
  hello: { command: HelloCommand; reply: WelcomeReply };
  ping: { command: PingCommand; reply: PongReply };
  submit: { command: SubmitCommand; reply: SubmittedReply };
  submit_many: { command: SubmitManyCommand; reply: SubmittedManyReply };
  subscribe: { command: SubscribeCommand; reply: SubscribedReply };
  unsubscribe: { command: UnsubscribeCommand; reply: DoneReply };
  cancel: { command: CancelCommand; reply: CancelResultReply };
  decide: { command: DecideCommand; reply: DoneReply };
  probe: { command: ProbeCommand; reply: ProbedReply };
  list_requests: { command: ListRequestsCommand; reply: RequestsReply };
  read_events: { command: ReadEventsCommand; reply: LogReply };
  inspect: { command: InspectCommand; reply: InspectedReply };
  watch: { command: WatchCommand; reply: WatchingReply };
  unwatch: { command: UnwatchCommand; reply: DoneReply };
  list_chats: { command: ListChatsCommand; reply: ChatsReply };
  create_chat: { command: CreateChatCommand; reply: ChatReply };
  update_chat: { command: UpdateChatCommand; reply: ChatReply };
  delete_chat: { command: DeleteChatCommand; reply: DoneReply };
  restore_chat: { command: RestoreChatCommand; reply: ChatReply };
  list_messages: { command: ListMessagesCommand; reply: MessagesReply };
  delete_message: { command: DeleteMessageCommand; reply: DoneReply };
  search: { command: SearchCommand; reply: FoundReply };
  list_agents: { command: ListAgentsCommand; reply: AgentsReply };
}

/** The wire name of a command. */
export type CommandType = keyof Pairs;

/** What a command needs besides `type` and `ref`. */
export type FieldsOf<K extends CommandType> = Omit<Pairs[K]["command"], "type" | "ref">;

/** What a command is answered with, unless it is refused. */
export type ReplyOf<K extends CommandType> = Pairs[K]["reply"];

/** The wire name of each command's reply. */
export const REPLIES = {
  hello: "welcome",
  ping: "pong",
  submit: "submitted",
  submit_many: "submitted_many",
  subscribe: "subscribed",
  unsubscribe: "done",
  cancel: "cancel_result",
  decide: "done",
  probe: "probed",
  list_requests: "requests",
  read_events: "log",
  inspect: "inspected",
  watch: "watching",
  unwatch: "done",
  list_chats: "chats",
  create_chat: "chat",
  update_chat: "chat",
  delete_chat: "done",
  restore_chat: "chat",
  list_messages: "messages",
  delete_message: "done",
  search: "found",
  list_agents: "agents",
} as const satisfies Record<CommandType, string>;

/** How a value is checked and completed (see decode.ts): string, integer, number, boolean, null, anything, an event, a
 * part of a transcript (of these two, kinds of later releases do too); then, by their first entry, a list, an object of one sort of values, a row of fixed length, one of some strings, one of some
 * shapes, a structure, and one of some structures told apart by a field. */
export type Shape = "s" | "i" | "n" | "b" | "0" | "a" | "event" | "part" | readonly ["list", Shape] | readonly ["dict", Shape] | readonly ["tuple", ...Shape[]]
  | readonly ["enum", ...string[]] | readonly ["either", ...Shape[]] | readonly ["struct", string]
  | readonly ["tagged", string, Readonly<Record<string, string>>];

/** A structure's fields: each its shape and, unless it is required, its default. */
export interface StructShape { readonly tag: readonly [string, string] | null; readonly fields: Readonly<Record<string, readonly [Shape] | readonly [Shape, unknown]>> }

/** Everything that arrives, by its TypeScript name. */
export const SHAPES: Readonly<Record<string, StructShape>> = {
  ErrorReply: {"tag": ["type", "error"], "fields": {"code": ["s"], "message": ["s"], "ref": [["either", "i", "0"], null], "retryable": ["b", false], "retry_after_ms": [["either", "i", "0"], null], "request_id": [["either", "s", "0"], null]}},
  WelcomeReply: {"tag": ["type", "welcome"], "fields": {"ref": ["i"], "server": ["s"], "user": ["s"], "heartbeat_s": ["n"], "durability": ["s", "process"], "limits": [["dict", "i"], {}], "draining": ["b", false], "operator": ["b", false]}},
  PongReply: {"tag": ["type", "pong"], "fields": {"ref": ["i"], "at": ["i"]}},
  DoneReply: {"tag": ["type", "done"], "fields": {"ref": ["i"]}},
  SubmittedReply: {"tag": ["type", "submitted"], "fields": {"ref": ["i"], "request_id": ["s"], "chat_id": [["either", "s", "0"], null], "message_id": [["either", "s", "0"], null], "parent_id": [["either", "s", "0"], null], "created": ["b", true], "status": [["enum", "cancelled", "completed", "failed", "interrupted", "new", "queued", "running", "timed_out", "waiting"], "queued"], "cursor": ["s", ""]}},
  SubmittedManyReply: {"tag": ["type", "submitted_many"], "fields": {"ref": ["i"], "results": [["list", ["tagged", "type", {"submitted": "SubmittedReply", "error": "ErrorReply"}]]]}},
  SubscribedReply: {"tag": ["type", "subscribed"], "fields": {"ref": ["i"], "request_id": ["s"], "status": [["enum", "cancelled", "completed", "failed", "interrupted", "new", "queued", "running", "timed_out", "waiting"]], "chat_id": [["either", "s", "0"], null], "reset": [["either", ["enum", "ahead", "purged", "start", "superseded", "unknown_epoch"], "0"], null]}},
  CancelResultReply: {"tag": ["type", "cancel_result"], "fields": {"ref": ["i"], "won": ["b"], "status": [["enum", "cancelled", "completed", "failed", "interrupted", "new", "queued", "running", "timed_out", "waiting"]]}},
  ProbedReply: {"tag": ["type", "probed"], "fields": {"ref": ["i"], "requests": [["list", ["struct", "ProbeRow"]]]}},
  ProbeRow: {"tag": null, "fields": {"request_id": ["s"], "state": [["enum", "accepted", "ended", "running", "unknown"]], "status": [["either", ["enum", "cancelled", "completed", "failed", "interrupted", "new", "queued", "running", "timed_out", "waiting"], "0"], null], "chat_id": [["either", "s", "0"], null], "cursor": [["either", "s", "0"], null]}},
  RequestsReply: {"tag": ["type", "requests"], "fields": {"ref": ["i"], "requests": [["list", ["struct", "RequestRow"]]], "next": [["either", "s", "0"], null]}},
  RequestRow: {"tag": null, "fields": {"request_id": ["s"], "version": ["i"], "status": [["enum", "cancelled", "completed", "failed", "interrupted", "new", "queued", "running", "timed_out", "waiting"]], "agent": ["s"], "chat_id": [["either", "s", "0"], null], "message_id": [["either", "s", "0"], null], "created_at": ["i", 0], "updated_at": ["i", 0], "started_at": [["either", "i", "0"], null], "ended_at": [["either", "i", "0"], null], "attempt": ["i", 0], "place": [["either", "i", "0"], null], "queue_reason": [["either", "s", "0"], null], "estimate_ms": [["either", "i", "0"], null], "outcome": [["either", "0", ["tagged", "type", {"completed": "CompletedEvent", "failed": "FailedEvent", "cancelled": "CancelledEvent", "timed_out": "TimedOutEvent", "interrupted": "InterruptedEvent"}]], null], "usage": [["either", "0", ["struct", "UsageEvent"]], null], "tools": ["i", 0], "title": ["s", ""], "owner": [["either", "s", "0"], null], "deleted": ["b", false]}},
  CompletedEvent: {"tag": ["type", "completed"], "fields": {"at": ["i"], "span": ["i", 1], "code": ["s"], "message": ["s", ""], "retryable": ["b", false]}},
  FailedEvent: {"tag": ["type", "failed"], "fields": {"at": ["i"], "span": ["i", 1], "code": ["s"], "message": ["s", ""], "retryable": ["b", false]}},
  CancelledEvent: {"tag": ["type", "cancelled"], "fields": {"at": ["i"], "span": ["i", 1], "code": ["s"], "message": ["s", ""], "retryable": ["b", false]}},
  TimedOutEvent: {"tag": ["type", "timed_out"], "fields": {"at": ["i"], "span": ["i", 1], "code": ["s"], "message": ["s", ""], "retryable": ["b", false]}},
  InterruptedEvent: {"tag": ["type", "interrupted"], "fields": {"at": ["i"], "span": ["i", 1], "code": ["s"], "message": ["s", ""], "retryable": ["b", false]}},
  UsageEvent: {"tag": ["type", "usage"], "fields": {"at": ["i"], "span": ["i", 1], "input_tokens": ["i", 0], "output_tokens": ["i", 0], "reasoning_tokens": ["i", 0], "cached_tokens": ["i", 0], "estimated": ["b", false]}},
  LogReply: {"tag": ["type", "log"], "fields": {"ref": ["i"], "request_id": ["s"], "start": ["i"], "next": ["i"], "events": [["list", "event"]], "sealed": ["b", false]}},
  AcceptedEvent: {"tag": ["type", "accepted"], "fields": {"at": ["i"], "span": ["i", 1], "nonce": ["s"], "agent": ["s"], "chat_id": [["either", "s", "0"], null], "message_id": [["either", "s", "0"], null], "parent_id": [["either", "s", "0"], null], "append_only": ["b", false], "projections": [["dict", "i"], {}], "v": ["i", 1]}},
  StartedEvent: {"tag": ["type", "started"], "fields": {"at": ["i"], "span": ["i", 1], "attempt": ["i"], "term": ["i"], "nonce": ["s"], "keep": [["either", ["enum", "all", "none"], "i"], "all"], "reason": [["enum", "first", "handed_over", "recovered", "resumed", "retry"], "first"]}},
  CheckpointEvent: {"tag": ["type", "checkpoint"], "fields": {"at": ["i"], "span": ["i", 1]}},
  WaitingEvent: {"tag": ["type", "waiting"], "fields": {"at": ["i"], "span": ["i", 1], "part": ["i"], "wait_id": ["s"], "kind": ["s"], "body": ["a", null], "digest": ["s", ""], "expires_at": [["either", "i", "0"], null]}},
  DecidedEvent: {"tag": ["type", "decided"], "fields": {"at": ["i"], "span": ["i", 1], "part": ["i"], "wait_id": ["s"], "decision": ["a", null], "expired": ["b", false]}},
  PartStartedEvent: {"tag": ["type", "part_started"], "fields": {"at": ["i"], "span": ["i", 1], "part": ["i"], "kind": [["enum", "reasoning", "text"]]}},
  DeltaEvent: {"tag": ["type", "delta"], "fields": {"at": ["i"], "span": ["i", 1], "part": ["i"], "text": ["s"]}},
  PartDoneEvent: {"tag": ["type", "part_done"], "fields": {"at": ["i"], "span": ["i", 1], "part": ["i"]}},
  ToolCallEvent: {"tag": ["type", "tool_call"], "fields": {"at": ["i"], "span": ["i", 1], "part": ["i"], "call_id": ["s"], "name": ["s"], "where": [["enum", "client", "server"], "server"]}},
  ToolResultEvent: {"tag": ["type", "tool_result"], "fields": {"at": ["i"], "span": ["i", 1], "part": ["i"], "output": ["s"], "is_error": ["b", false]}},
  ProgressEvent: {"tag": ["type", "progress"], "fields": {"at": ["i"], "span": ["i", 1], "part": ["i"], "id": ["s"], "label": ["s"], "kind": ["s", "step"], "step": [["either", "i", "0"], null], "total": [["either", "i", "0"], null], "percent": [["either", "n", "0"], null], "state": [["enum", "done", "failed", "running"], "running"]}},
  DataEvent: {"tag": ["type", "data"], "fields": {"at": ["i"], "span": ["i", 1], "part": ["i"], "id": ["s"], "name": ["s"], "data": ["a", null]}},
  SourceEvent: {"tag": ["type", "source"], "fields": {"at": ["i"], "span": ["i", 1], "part": ["i"], "id": ["s"], "url": ["s"], "title": ["s", ""]}},
  FileEvent: {"tag": ["type", "file"], "fields": {"at": ["i"], "span": ["i", 1], "part": ["i"], "id": ["s"], "url": ["s"], "media_type": ["s", "application/octet-stream"], "name": ["s", ""]}},
  InputEvent: {"tag": ["type", "input"], "fields": {"at": ["i"], "span": ["i", 1], "part": ["i"], "id": ["s"], "text": ["s"]}},
  InspectedReply: {"tag": ["type", "inspected"], "fields": {"ref": ["i"], "request": [["struct", "RequestRow"]], "readers": [["list", ["struct", "ReaderRow"]], []], "terms": [["list", ["struct", "TermRow"]], []]}},
  ReaderRow: {"tag": null, "fields": {"connection": ["s"], "door": ["s"], "since": ["i"], "start": ["i"], "end": ["i"], "client": ["s", ""], "until": [["either", "i", "0"], null]}},
  TermRow: {"tag": null, "fields": {"term": ["i"], "attempt": ["i"], "start": ["i"], "at": ["i"], "reason": [["enum", "first", "handed_over", "recovered", "resumed", "retry"]], "running_ms": ["i", 0], "usage": [["either", "0", ["struct", "UsageEvent"]], null]}},
  WatchingReply: {"tag": ["type", "watching"], "fields": {"ref": ["i"], "cursor": ["s"], "reset": [["either", ["enum", "ahead", "purged", "start", "superseded", "unknown_epoch"], "0"], null]}},
  ChatsReply: {"tag": ["type", "chats"], "fields": {"ref": ["i"], "chats": [["list", ["struct", "ChatRow"]]], "next": [["either", "s", "0"], null]}},
  ChatRow: {"tag": null, "fields": {"chat_id": ["s"], "version": ["i"], "title": ["s"], "agent": [["either", "s", "0"], null], "created_at": ["i", 0], "updated_at": ["i", 0], "seen_at": ["i", 0], "last_request_id": [["either", "s", "0"], null], "last_status": [["either", ["enum", "cancelled", "completed", "failed", "interrupted", "new", "queued", "running", "timed_out", "waiting"], "0"], null], "last_ended_at": ["i", 0], "archived": ["b", false], "deleted": ["b", false]}},
  ChatReply: {"tag": ["type", "chat"], "fields": {"ref": ["i"], "chat": [["struct", "ChatRow"]]}},
  MessagesReply: {"tag": ["type", "messages"], "fields": {"ref": ["i"], "messages": [["list", ["struct", "MessageRow"]]], "requests": [["list", ["struct", "RequestRow"]], []], "next": [["either", "s", "0"], null]}},
  MessageRow: {"tag": null, "fields": {"message_id": ["s"], "chat_id": ["s"], "role": [["enum", "assistant", "user"]], "parent_id": [["either", "s", "0"], null], "created_at": ["i", 0], "text": ["s", ""], "transcript": [["either", "0", ["struct", "Transcript"]], null], "status": [["either", ["enum", "cancelled", "completed", "failed", "interrupted", "new", "queued", "running", "timed_out", "waiting"], "0"], null], "damaged": ["b", false]}},
  Transcript: {"tag": null, "fields": {"offset": ["i", 0], "status": [["enum", "cancelled", "completed", "failed", "interrupted", "new", "queued", "running", "timed_out", "waiting"], "new"], "agent": ["s", ""], "chat_id": [["either", "s", "0"], null], "message_id": [["either", "s", "0"], null], "parent_id": [["either", "s", "0"], null], "append_only": ["b", false], "projections": [["dict", "i"], {}], "nonce": ["s", ""], "attempt": ["i", 0], "term": ["i", 0], "term_nonce": ["s", ""], "reason": ["s", ""], "accepted_at": [["either", "i", "0"], null], "started_at": [["either", "i", "0"], null], "parts": [["list", "part"], []], "checkpoints": [["list", ["tuple", "i", "i"]], []], "usage": [["either", "0", ["struct", "UsageEvent"]], null], "outcome": [["either", "0", ["tagged", "type", {"completed": "CompletedEvent", "failed": "FailedEvent", "cancelled": "CancelledEvent", "timed_out": "TimedOutEvent", "interrupted": "InterruptedEvent"}]], null]}},
  TextPart: {"tag": ["kind", "text"], "fields": {"at": ["i"], "text": ["s", ""], "open": ["b", false]}},
  ReasoningPart: {"tag": ["kind", "reasoning"], "fields": {"at": ["i"], "text": ["s", ""], "open": ["b", false]}},
  ToolPart: {"tag": ["kind", "tool"], "fields": {"at": ["i"], "call_id": ["s"], "name": ["s"], "where": [["enum", "client", "server"], "server"], "arguments": ["s", ""], "result": ["s", ""], "state": [["enum", "called", "done", "failed", "input", "unknown"], "input"]}},
  ProgressPart: {"tag": ["kind", "progress"], "fields": {"at": ["i"], "id": ["s"], "label": ["s"], "step_kind": ["s", "step"], "step": [["either", "i", "0"], null], "total": [["either", "i", "0"], null], "percent": [["either", "n", "0"], null], "state": [["enum", "done", "failed", "running", "stopped"], "running"]}},
  DataPart: {"tag": ["kind", "data"], "fields": {"at": ["i"], "id": ["s"], "name": ["s"], "data": ["a", null]}},
  SourcePart: {"tag": ["kind", "source"], "fields": {"at": ["i"], "id": ["s"], "url": ["s"], "title": ["s", ""]}},
  FilePart: {"tag": ["kind", "file"], "fields": {"at": ["i"], "id": ["s"], "url": ["s"], "media_type": ["s", "application/octet-stream"], "name": ["s", ""]}},
  InputPart: {"tag": ["kind", "input"], "fields": {"at": ["i"], "id": ["s"], "text": ["s"]}},
  WaitPart: {"tag": ["kind", "wait"], "fields": {"at": ["i"], "wait_id": ["s"], "wait_kind": ["s"], "body": ["a", null], "digest": ["s", ""], "expires_at": [["either", "i", "0"], null], "decision": ["a", null], "state": [["enum", "closed", "decided", "expired", "open"], "open"]}},
  UnknownPart: {"tag": ["kind", "unknown"], "fields": {"at": ["i"], "event": ["s", ""]}},
  FoundReply: {"tag": ["type", "found"], "fields": {"ref": ["i"], "hits": [["list", ["struct", "HitRow"]]], "next": [["either", "s", "0"], null]}},
  HitRow: {"tag": null, "fields": {"chat_id": ["s"], "title": ["s"], "message_id": [["either", "s", "0"], null], "role": [["either", "s", "0"], null], "snippet": ["s", ""], "created_at": ["i", 0]}},
  AgentsReply: {"tag": ["type", "agents"], "fields": {"ref": ["i"], "agents": [["list", ["struct", "AgentRow"]]]}},
  AgentRow: {"tag": null, "fields": {"name": ["s"], "description": ["s", ""], "model": ["s", ""], "default": ["b", false]}},
  SnapshotPush: {"tag": ["type", "snapshot"], "fields": {"request_id": ["s"], "reason": [["enum", "ahead", "purged", "start", "superseded", "unknown_epoch"]]}},
  PagePush: {"tag": ["type", "page"], "fields": {"request_id": ["s"], "start": ["i"], "next": ["s"], "events": [["list", "event"]]}},
  CaughtUpPush: {"tag": ["type", "caught_up"], "fields": {"request_id": ["s"], "cursor": ["s"], "parts": ["i"], "bytes": ["i"], "digest": ["s"], "sealed": ["b", false]}},
  GonePush: {"tag": ["type", "gone"], "fields": {"request_id": ["s"]}},
  FeedPush: {"tag": ["type", "feed"], "fields": {"next": ["s"], "events": [["list", ["tagged", "type", {"chat": "FeedChat", "request": "FeedRequest"}]]], "reset": [["either", ["enum", "ahead", "purged", "start", "superseded", "unknown_epoch"], "0"], null]}},
  FeedChat: {"tag": ["type", "chat"], "fields": {"chat": [["struct", "ChatRow"]]}},
  FeedRequest: {"tag": ["type", "request"], "fields": {"request": [["struct", "RequestRow"]]}},
  NoticePush: {"tag": ["type", "notice"], "fields": {"kind": ["s"], "message": ["s", ""], "request_id": [["either", "s", "0"], null], "place": [["either", "i", "0"], null], "reason": [["either", "s", "0"], null], "estimate_ms": [["either", "i", "0"], null], "retry_after_ms": [["either", "i", "0"], null]}},
};

/** The structure of each message of the server's, by the value of its `type`. */
export const SERVER_MESSAGES: Readonly<Record<string, string>> = {
  "error": "ErrorReply",
  "welcome": "WelcomeReply",
  "pong": "PongReply",
  "done": "DoneReply",
  "submitted": "SubmittedReply",
  "submitted_many": "SubmittedManyReply",
  "subscribed": "SubscribedReply",
  "cancel_result": "CancelResultReply",
  "probed": "ProbedReply",
  "requests": "RequestsReply",
  "log": "LogReply",
  "inspected": "InspectedReply",
  "watching": "WatchingReply",
  "chats": "ChatsReply",
  "chat": "ChatReply",
  "messages": "MessagesReply",
  "found": "FoundReply",
  "agents": "AgentsReply",
  "snapshot": "SnapshotPush",
  "page": "PagePush",
  "caught_up": "CaughtUpPush",
  "gone": "GonePush",
  "feed": "FeedPush",
  "notice": "NoticePush",
};

/** The structure of each event, by the value of its `type`. */
export const EVENTS: Readonly<Record<string, string>> = {
  "accepted": "AcceptedEvent",
  "started": "StartedEvent",
  "checkpoint": "CheckpointEvent",
  "waiting": "WaitingEvent",
  "decided": "DecidedEvent",
  "part_started": "PartStartedEvent",
  "delta": "DeltaEvent",
  "part_done": "PartDoneEvent",
  "tool_call": "ToolCallEvent",
  "tool_result": "ToolResultEvent",
  "progress": "ProgressEvent",
  "data": "DataEvent",
  "source": "SourceEvent",
  "file": "FileEvent",
  "input": "InputEvent",
  "usage": "UsageEvent",
  "completed": "CompletedEvent",
  "failed": "FailedEvent",
  "cancelled": "CancelledEvent",
  "timed_out": "TimedOutEvent",
  "interrupted": "InterruptedEvent",
};

/** The structure of each part of a transcript, by the value of its `kind`. */
export const PARTS: Readonly<Record<string, string>> = {
  "text": "TextPart",
  "reasoning": "ReasoningPart",
  "tool": "ToolPart",
  "progress": "ProgressPart",
  "data": "DataPart",
  "source": "SourcePart",
  "file": "FilePart",
  "input": "InputPart",
  "wait": "WaitPart",
  "unknown": "UnknownPart",
};
