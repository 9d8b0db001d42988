/** One request's whole story: what it is, its timeline, its replay, its events. */
import { Button, EmptyState, Segmented, Spinner } from "@app/design/index.ts";
import { useClient } from "@app/model/index.ts";
import { History } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { EventList } from "./EventList.tsx";
import { isActive } from "./filters.ts";
import { Replay } from "./Replay.tsx";
import { StopDialog, useMine } from "./StopDialog.tsx";
import { StoryHeader } from "./StoryHeader.tsx";
import styles from "./story.module.css";
import { Timeline } from "./Timeline.tsx";
import { useTick } from "./ticking.ts";
import { type StoryData, useStory } from "./useStory.ts";

type View = "timeline" | "replay" | "events";

const VIEWS: readonly { value: View; label: string }[] = [
  { value: "timeline", label: "Timeline" },
  { value: "replay", label: "Replay" },
  { value: "events", label: "Events" },
];

/** The screen at /activity/:requestId. `owner` is somebody else's name, for operators; it may come by the address too. */
export function StoryScreen({ requestId, owner }: { requestId: string; owner?: string | undefined }) {
  const search = useSearch();
  const [, go] = useLocation();
  const query = useMemo(() => new URLSearchParams(search), [search]);
  const whose = owner ?? query.get("owner");
  const view = VIEWS.find((one) => one.value === query.get("view"))?.value ?? "timeline";
  const setView = (next: View) => {
    const said = new URLSearchParams(search);
    if (next === "timeline") said.delete("view");
    else said.set("view", next);
    const text = said.toString();
    go(`/activity/${encodeURIComponent(requestId)}${text ? `?${text}` : ""}`, { replace: true });
  };
  const story = useStory(requestId, whose || null);
  const isMine = useMine();
  const [stopping, setStopping] = useState(false);
  const scroller = useRef<HTMLDivElement>(null);
  const trouble = story.row ? "" : story.error || (story.log.lost ? story.log.error : "");

  if (trouble)
    return (
      <div className={styles.screen}>
        <h1 className="visually-hidden">A request</h1>
        <EmptyState
          icon={<History />}
          title="This story cannot be shown"
          action={
            <>
              <Button onClick={story.again}>Try again</Button>{" "}
              <Button variant="quiet" onClick={() => go("/activity")}>
                All activity
              </Button>
            </>
          }
        >
          {trouble}
        </EmptyState>
      </div>
    );
  const named = story.row && { ...story.row, owner: whose || story.row.owner };
  const mine = named ? isMine(named) : !whose;
  return (
    <div className={styles.screen} ref={scroller}>
      <StoryHeader
        requestId={requestId}
        row={story.row}
        story={story}
        mine={mine}
        onStop={() => setStopping(true)}
      />
      <div className={styles.views}>
        <Segmented label="How to see it" value={view} options={VIEWS} onChange={setView} />
        <Reading story={story} />
      </div>
      {story.short && (
        <p className={styles.note}>
          Its events are no longer kept, only the result: this is a short log that leads to the same answer.
          When each word came, and how long things took, cannot be told any more.
        </p>
      )}
      {story.log.cut && (
        <p className={styles.note}>
          The log is longer than this page holds; its first {story.events.length.toLocaleString()} events are
          shown.
        </p>
      )}
      <Body story={story} view={view} mine={mine} scroller={scroller} />
      <StopDialog row={stopping ? named : null} onClose={() => setStopping(false)} />
    </div>
  );
}

function Body({
  story,
  view,
  mine,
  scroller,
}: {
  story: StoryData;
  view: View;
  mine: boolean;
  scroller: React.RefObject<HTMLElement | null>;
}) {
  const client = useClient();
  const lasting = story.row !== null && isActive(story.row);
  useTick(lasting && view === "timeline");
  const places = useMemo(
    () => (view === "events" ? Array.from({ length: story.log.count }, (_, index) => index) : []),
    [view, story.log.count],
  );
  if (story.log.count === 0)
    return story.log.caughtUp ? (
      <p className={styles.note}>Nothing of its log is left.</p>
    ) : (
      <div className={styles.waiting} role="status">
        <Spinner /> Reading its log…
      </div>
    );
  if (view === "replay")
    return story.log.caughtUp ? (
      <Replay
        events={story.events}
        count={story.log.count}
        lines={story.lines}
        short={story.short}
        mine={mine}
      />
    ) : (
      <div className={styles.waiting} role="status">
        <Spinner /> The replay begins when the whole log is here.
      </div>
    );
  if (view === "events") return <EventList events={story.events} places={places} label="All events" tall />;
  return (
    <Timeline
      lines={story.lines}
      left={story.left}
      instants={story.instants}
      events={story.events}
      readers={story.readers}
      now={lasting ? client.now() : null}
      short={story.short}
      scroller={scroller}
    />
  );
}

/** How far the reading of the log has come, while it takes long enough to be asked about. */
function Reading({ story }: { story: StoryData }) {
  const { log, row } = story;
  if (log.error) return <span className={styles.reading}>{log.error}</span>;
  if (log.caughtUp || log.count === 0) return null;
  const first = story.events[0]?.at ?? 0;
  const end = row?.ended_at ?? row?.updated_at ?? 0;
  const latest = story.events[log.count - 1]?.at ?? first;
  const share = end > first ? Math.min(99, Math.round((100 * (latest - first)) / (end - first))) : null;
  return (
    <span className={styles.reading} role="status">
      <Spinner /> {log.count.toLocaleString()} events read{share === null ? "" : `, ${share} % of its time`}
    </span>
  );
}
