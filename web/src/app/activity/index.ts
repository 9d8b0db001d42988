/** Activity: the monitor of requests, and one request's story with its replay. Loaded when somebody goes there. */
export { ActivityScreen } from "./ActivityScreen.tsx";
export { StoryScreen } from "./StoryScreen.tsx";
