import { type AgentInfo, type AgentProfile, type Conversation, type Head, type Readable, type Role } from "@deskbell/client";
import { Agent } from "@deskbell/client/agent";
import { useSyncExternalStore } from "react";

/** The one session of this page. */
export const agent = new Agent({ storage: "tab" });

/** The value of a watched thing; the component renders again when it changes. */
export function useReadable<T>(readable: Readable<T>): T {
  return useSyncExternalStore(readable.subscribe, readable.getSnapshot);
}

/** A part of a watched thing; renders again only when that part changes. `pick` must return something stable. */
export function usePart<T, P>(readable: Readable<T>, pick: (value: T) => P): P {
  return useSyncExternalStore(readable.subscribe, () => pick(readable.getSnapshot()));
}

/** A conversation, as far as this page holds it. */
export function useConversation(id: string): Conversation | undefined {
  return useReadable(agent.conversation(id));
}

/** A row of the inbox. */
export function useHead(id: string): Head | undefined {
  return useReadable(agent.head(id));
}

/** Who is signed in. Only used below the gate, where there is somebody. */
export function useProfile(): AgentProfile {
  const profile = useReadable(agent.profile);
  if (profile === null) throw new Error("nobody is signed in");
  return profile;
}

/** The id of who is signed in, for code outside components; empty when nobody is. */
export function me(): string {
  return agent.profile.getSnapshot()?.agent.id ?? "";
}

/** Whether this role may write. */
export function mayWrite(role: Role): boolean {
  return role !== "viewer";
}

/** Whether who is signed in may write. */
export function useMayWrite(): boolean {
  return mayWrite(useProfile().agent.role);
}

/** A colleague by id. */
export function colleague(agents: readonly AgentInfo[], id: string | null | undefined): AgentInfo | undefined {
  return agents.find((one) => one.id === id);
}

/** A colleague's name; renders again when it changes. */
export function useAgentName(id: string | null | undefined): string | undefined {
  return usePart(agent.agents, (agents) => colleague(agents, id)?.name);
}
