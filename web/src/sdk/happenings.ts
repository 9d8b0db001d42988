/** What a session says has happened when it took a frame: the values that its shell acts on. */
import type {
  ChatRow,
  ErrorReply,
  FeedPush,
  NoticePush,
  PongReply,
  Reply,
  RequestRow,
  SubmittedReply,
  WelcomeReply,
} from "./wire.gen.ts";

export type Happening =
  /** The connection may be used. */
  | { readonly type: "welcomed"; readonly welcome: WelcomeReply }
  /** The connection is another user's than the last one: what was under way for that one has been dropped. Comes before
   * `welcomed`. */
  | { readonly type: "replaced" }
  /** Hello was refused, or a frame of ours could not be read. */
  | { readonly type: "complained"; readonly error: ErrorReply }
  /** The command was answered; an error is an answer too. */
  | { readonly type: "replied"; readonly ref: number; readonly reply: Reply }
  /** A submit was answered. */
  | { readonly type: "submitted"; readonly requestId: string; readonly reply: SubmittedReply | ErrorReply }
  /** What is known of a followed request has changed. */
  | { readonly type: "changed"; readonly requestId: string }
  /** The server put a subscribe off (or, without an id, the watch): call `resume` after a while. */
  | {
      readonly type: "put_off";
      readonly requestId: string | null;
      readonly tries: number;
      readonly waitMs: number;
    }
  | { readonly type: "fed"; readonly push: FeedPush }
  | { readonly type: "watching"; readonly whole: boolean }
  | { readonly type: "noticed"; readonly notice: NoticePush }
  | { readonly type: "alive"; readonly pong: PongReply };

/** A row of the feed with its sort. */
export type FeedRow =
  | { readonly type: "chat"; readonly chat: ChatRow }
  | { readonly type: "request"; readonly request: RequestRow };
