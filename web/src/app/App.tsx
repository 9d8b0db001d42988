/** The app: one frame, one screen, the dialogs and what is said in passing. */
import { LiveRegion, Toasts, TooltipLayer } from "@app/design/index.ts";
import { useConnection, useTabTitle } from "@app/model/index.ts";
import { useEffect, useState } from "react";
import { useFrameColour } from "./shell/appearance.ts";
import { ErrorBoundary } from "./shell/ErrorBoundary.tsx";
import { Layout } from "./shell/Layout.tsx";
import { Overlays } from "./shell/Overlays.tsx";
import { usePlace } from "./shell/place.ts";
import { Screen } from "./shell/Screen.tsx";
import { TokenScreen } from "./shell/TokenForm.tsx";

/** The whole page, inside the model's provider. */
export function App() {
  useFrameColour();
  useTabTitle();
  const [place] = usePlace();
  const locked = useLocked();
  return (
    <>
      <Layout bare={locked}>
        <ErrorBoundary resetKey={JSON.stringify(place)}>
          {locked ? <TokenScreen /> : <Screen place={place} />}
        </ErrorBoundary>
      </Layout>
      <Overlays />
      <Toasts />
      <LiveRegion />
      <TooltipLayer />
    </>
  );
}

/** True while there is nothing to show without a token: it was asked for before this page was ever connected. */
function useLocked(): boolean {
  const { needsToken, phase } = useConnection();
  const [been, setBeen] = useState(false);
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    if (phase === "online") setBeen(true);
    if (needsToken) setAsked(true);
  }, [phase, needsToken]);
  return !been && phase !== "online" && (asked || needsToken);
}
