/** The page's own pieces: what every screen is made of. Styles: `tokens.css` and `base.css`, loaded once by main.tsx. */
export { announce, LiveRegion } from "./announce.ts";
export { Button, type ButtonProps, IconButton, type IconButtonProps } from "./Button.tsx";
export { classes } from "./classes.ts";
export { Dialog, type DialogProps } from "./Dialog.tsx";
export {
  Field,
  type FieldProps,
  Kbd,
  Segmented,
  type SegmentedOption,
  type SegmentedProps,
  Switch,
  type SwitchProps,
  TextInput,
} from "./Fields.tsx";
export { formatAge, formatCount, formatDuration } from "./format.ts";
export { useLayer } from "./layer.ts";
export { loadMenu, Menu, type MenuItem, type MenuProps } from "./Menu.tsx";
export {
  Badge,
  EmptyState,
  type EmptyStateProps,
  ProgressBar,
  Spinner,
  StatusDot,
  type Tone,
} from "./Status.tsx";
export {
  keysLabel,
  type Shortcut,
  type ShortcutOptions,
  setSingleKeys,
  shortcuts,
  singleKeysOn,
  useShortcut,
} from "./shortcuts.ts";
export { Toasts } from "./Toasts.tsx";
export { TooltipLayer } from "./Tooltip.tsx";
export { type Toast, type ToastInput, toast } from "./toasts.ts";
