/** What the person chose in this browser: theme, density, how sending works. Tabs agree; the document shows it at once. */
import { Cell, sameFields } from "./cell.ts";
import { readRecord, type Surroundings, writeRecord } from "./surroundings.ts";
import type { Preferences, PreferenceValues } from "./types.ts";

/** Where the preferences are kept; the page's first script may read the theme there before anything is drawn. */
export const PREFERENCES_KEY = "holdfast.preferences";

const DEFAULTS: PreferenceValues = {
  theme: "system",
  mode: "sync",
  enterSends: true,
  density: "comfortable",
  motion: "system",
  showReasoning: false,
  sidebarOpen: true,
};

const CHOICES: { readonly [K in keyof PreferenceValues]: readonly PreferenceValues[K][] } = {
  theme: ["system", "light", "dark"],
  mode: ["sync", "async"],
  enterSends: [true, false],
  density: ["comfortable", "compact"],
  motion: ["system", "reduced", "full"],
  showReasoning: [true, false],
  sidebarOpen: [true, false],
};

/** What of the document shows preferences: `document.documentElement.dataset`. */
export type Dataset = Record<string, string | undefined>;

/** See the module's text. */
export class PreferenceStore {
  readonly view: Cell<Preferences>;
  readonly #around: Surroundings;
  readonly #dataset: Dataset;

  constructor(around: Surroundings, dataset: Dataset) {
    this.#around = around;
    this.#dataset = dataset;
    this.view = new Cell<Preferences>({
      ...this.#read(),
      reducedMotion: false,
      setTheme: (theme) => this.set({ theme }),
      setMode: (mode) => this.set({ mode }),
      set: (change) => this.set(change),
    });
    this.#show(this.#read());
  }

  /** Follow other tabs and the system, until the returned function is called. */
  start(): () => void {
    const ends = [
      this.#around.onLocalChange((key) => {
        if (key === PREFERENCES_KEY || key === null) this.#show(this.#read());
      }),
      this.#around.lessMotion.subscribe(() => this.#show(this.#read())),
    ];
    this.#show(this.#read());
    return () => {
      for (const end of ends) end();
    };
  }

  set(change: Partial<PreferenceValues>): void {
    const values = { ...valuesOf(this.view.get()), ...change };
    writeRecord(this.#around.local, PREFERENCES_KEY, values);
    this.#show(values);
  }

  #read(): PreferenceValues {
    return valuesOf(readRecord(this.#around.local, PREFERENCES_KEY));
  }

  #show(values: PreferenceValues): void {
    const { theme, motion, density } = values;
    const reducedMotion = motion === "reduced" || (motion === "system" && this.#around.lessMotion.get());
    mark(this.#dataset, "theme", theme === "system" ? null : theme);
    mark(this.#dataset, "density", density === "compact" ? density : null);
    mark(this.#dataset, "motion", motion === "system" ? null : motion);
    const last = this.view.get();
    const next = { ...last, ...values, reducedMotion };
    if (!sameFields(last, next)) this.view.set(next);
  }
}

/** The values in an object from storage, where they are ones that can be chosen; defaults elsewhere. */
function valuesOf(from: object): PreferenceValues {
  const given = from as Partial<Record<keyof PreferenceValues, unknown>>;
  const pick = <K extends keyof PreferenceValues>(name: K): PreferenceValues[K] =>
    CHOICES[name].find((choice) => choice === given[name]) ?? DEFAULTS[name];
  return {
    theme: pick("theme"),
    mode: pick("mode"),
    enterSends: pick("enterSends"),
    density: pick("density"),
    motion: pick("motion"),
    showReasoning: pick("showReasoning"),
    sidebarOpen: pick("sidebarOpen"),
  };
}

function mark(dataset: Dataset, name: string, value: string | null): void {
  if (value === null) delete dataset[name];
  else dataset[name] = value;
}
