import { useNavigate, useSearch } from "@tanstack/react-router";
import { NARROW, useMedia } from "../app/media.ts";
import { useSettings } from "../settings/settings.ts";

/** Whether the visitor panel is shown, and how to change that: a setting where there is room, else part of the address. */
export function useDetails(): { shown: boolean; toggle: () => void } {
  const navigate = useNavigate();
  const narrow = useMedia(NARROW);
  const { details } = useSearch({ strict: false });
  const beside = useSettings((settings) => settings.details);
  const set = useSettings((settings) => settings.set);
  if (!narrow) return { shown: beside, toggle: () => set({ details: !beside }) };
  const shown = details === true;
  const next = shown ? undefined : (true as const);
  return { shown, toggle: () => void navigate({ to: ".", search: (old) => ({ ...old, details: next }) }) };
}
