/** Keeps what is short from flashing. */
import { useEffect, useState } from "react";

/** True once `on` has held for `waitMs`; false at once when it ends. */
export function useDelayed(on: boolean, waitMs: number): boolean {
  const [due, setDue] = useState(false);
  useEffect(() => {
    if (!on) {
      setDue(false);
      return;
    }
    const timer = setTimeout(() => setDue(true), waitMs);
    return () => clearTimeout(timer);
  }, [on, waitMs]);
  return on && due;
}
