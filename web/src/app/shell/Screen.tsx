/** The screen for the place, and what happens when the place changes. */
import { announce, Button, EmptyState } from "@app/design/index.ts";
import { ThreadScreen } from "@app/thread/index.ts";
import { Compass } from "lucide-react";
import { useEffect, useRef } from "react";
import { useLocation } from "wouter";
import { InboxScreen } from "./InboxScreen.tsx";
import { MAIN_ID } from "./Layout.tsx";
import { lazyScreen } from "./lazyScreen.tsx";
import type { Place } from "./place.ts";

const activity = () => import("@app/activity/index.ts");
const ActivityScreen = lazyScreen(() => activity().then((module) => module.ActivityScreen));
const StoryScreen = lazyScreen(() => activity().then((module) => module.StoryScreen));

/** The screen of a place. */
export function Screen({ place }: { place: Place }) {
  useArrival(place);
  switch (place.screen) {
    case "chat":
      return <ThreadScreen chatId={place.chatId} />;
    case "inbox":
      return <InboxScreen />;
    case "activity":
      return <ActivityScreen />;
    case "story":
      return <StoryScreen key={place.requestId} requestId={place.requestId} />;
    case "lost":
      return <Lost />;
  }
}

function Lost() {
  const [, go] = useLocation();
  return (
    <EmptyState
      icon={<Compass size={32} strokeWidth={1.4} />}
      title="There is nothing at this address"
      level={1}
      action={<Button onClick={() => go("/")}>Begin a new chat</Button>}
    >
      The link may be cut short, or from another server.
    </EmptyState>
  );
}

const NAMES = { inbox: "Inbox", activity: "Activity", story: "Request", lost: "Nothing here" } as const;

/** On arrival the focus goes into the main area, unless the screen has put it somewhere itself, and its name is said. */
function useArrival(place: Place): void {
  const key = JSON.stringify(place);
  const first = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key says all of the place
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    // Two frames: a composer takes the focus when it is mounted, a drawer gives it back when it closes.
    let frame = requestAnimationFrame(() => {
      frame = requestAnimationFrame(() => {
        const main = document.getElementById(MAIN_ID);
        if (main && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
        announce(place.screen === "chat" ? document.title : NAMES[place.screen]);
      });
    });
    return () => cancelAnimationFrame(frame);
  }, [key]);
}
