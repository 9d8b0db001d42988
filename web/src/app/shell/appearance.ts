/** The colour of the browser's own frame around the page, in step with the chosen theme. The rest of a theme is data-theme and CSS. */
import { usePreferences } from "@app/model/index.ts";
import { useEffect } from "react";

/** The page's background in both themes, as design/tokens.css has it. */
const BACKGROUND = { light: "#fbfaf7", dark: "#191816" } as const;

/** Keeps theme-color as the person chose it; mount it once. */
export function useFrameColour(): void {
  const { theme } = usePreferences();
  useEffect(() => {
    for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')) {
      const system = meta.media.includes("dark") ? "dark" : "light";
      meta.content = BACKGROUND[theme === "system" ? system : theme];
    }
  }, [theme]);
}
