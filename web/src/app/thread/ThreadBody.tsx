/** The part of a thread that scrolls: its messages, or why there are none. */
import { ThoughtsUnfolded } from "@app/answer/index.ts";
import { Button, EmptyState, Spinner } from "@app/design/index.ts";
import { type ThreadState, usePreferences } from "@app/model/index.ts";
import { ArrowDown, MessageCircleOff, TriangleAlert } from "lucide-react";
import { Link } from "wouter";
import { EmptyThread } from "./EmptyThread.tsx";
import { MessageList } from "./MessageList.tsx";
import { isFarPlace } from "./place.ts";
import styles from "./thread.module.css";
import { useDelayed } from "./useDelayed.ts";
import type { Scroller, ThreadPlace } from "./useScroller.ts";
import { useThreadExtras } from "./useThreadRuntime.ts";
import type { useWindow } from "./useWindow.ts";

/** What loads faster than this shows nothing in between: a flash is worse than a moment of nothing. */
const SKELETON_AFTER_MS = 150;

/** The messages of the thread as the runtime shows them, in the element that scrolls. */
export function ThreadBody(props: {
  thread: ThreadState;
  isNew: boolean;
  place: ThreadPlace | null;
  scroller: Scroller;
  window: Pick<ReturnType<typeof useWindow>, "onRange" | "onEditing">;
}) {
  const { thread, isNew, place, scroller, window } = props;
  const { messages } = useThreadExtras();
  const { reducedMotion, showReasoning } = usePreferences();
  const ready = messages.length > 0 && !isFarPlace(thread, place);
  const empty = thread.messages.length === 0;
  const loading = !isNew && (thread.loading || (!empty && !ready)) && !thread.error;
  const skeleton = useDelayed(loading && !ready, SKELETON_AFTER_MS);
  return (
    <div className={styles.stage}>
      <div
        ref={scroller.viewport}
        className={styles.viewport}
        role="log"
        aria-label="Messages"
        // What is written is announced once per answer, not as it streams.
        aria-live="off"
        aria-busy={loading || undefined}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard
        tabIndex={0}
      >
        <div ref={scroller.content} className={styles.content}>
          {ready && (
            <>
              <Beginning thread={thread} />
              <ThoughtsUnfolded value={showReasoning}>
                <MessageList
                  threadKey={thread.chatId}
                  scroller={scroller}
                  onRange={window.onRange}
                  onEditing={window.onEditing}
                />
              </ThoughtsUnfolded>
            </>
          )}
          {skeleton && <Skeleton />}
          {!ready && !loading && <WhyEmpty thread={thread} isNew={isNew} />}
        </div>
      </div>
      {ready && !scroller.atEnd && (
        <Button
          className={styles.jump}
          size="s"
          icon={<ArrowDown size={14} />}
          data-fresh={scroller.fresh || undefined}
          onClick={() => scroller.toLatest({ smooth: !reducedMotion })}
        >
          {scroller.fresh ? "New output below" : "Latest"}
        </Button>
      )}
    </div>
  );
}

function Beginning({ thread }: { thread: ThreadState }) {
  if (thread.error) {
    return (
      <p className={styles.beginning} role="alert">
        {thread.error}{" "}
        <Button size="s" variant="quiet" onClick={thread.reload}>
          Try again
        </Button>
      </p>
    );
  }
  if (!thread.hasOlder) return null;
  return (
    <p className={styles.beginning}>
      {thread.loadingOlder ? (
        <Spinner label="Loading earlier messages" />
      ) : (
        <Button size="s" variant="quiet" onClick={thread.loadOlder}>
          Earlier messages
        </Button>
      )}
    </p>
  );
}

function WhyEmpty({ thread, isNew }: { thread: ThreadState; isNew: boolean }) {
  if (isNew) return <EmptyThread />;
  if (thread.missing) {
    return (
      <div className={styles.middle}>
        <EmptyState
          icon={<MessageCircleOff size={28} />}
          title="This chat is not here"
          action={
            <Link href="/" className={styles.link}>
              Start a new chat
            </Link>
          }
        >
          It was deleted, or it belongs to somebody else.
        </EmptyState>
      </div>
    );
  }
  if (thread.error) {
    return (
      <div className={styles.middle} role="alert">
        <EmptyState
          icon={<TriangleAlert size={28} />}
          title="The messages could not be loaded"
          action={<Button onClick={thread.reload}>Try again</Button>}
        >
          {thread.error}
        </EmptyState>
      </div>
    );
  }
  return <EmptyThread />;
}

/** The outline of a conversation, while its messages are on their way. */
function Skeleton() {
  return (
    <div className={styles.skeleton} aria-hidden="true">
      {["right", "left", "right", "left"].map((side, index) => (
        <div key={`${side}${index < 2 ? "a" : "b"}`} className={styles.bones} data-side={side}>
          <span />
          {side === "left" && <span />}
          {side === "left" && <span />}
        </div>
      ))}
    </div>
  );
}
